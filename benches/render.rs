//! How fast each format is written, in bytes of text a second of processor time, on about 10 MB of plausible settings.

#![allow(missing_docs, reason = "criterion_group makes a public function")]

mod cpu_time;

use std::hint::black_box;

use cpu_time::CpuTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dynix::format;
use dynix::plan::FormatSpec;
use serde_json::{Map, Value, json};

/// One service's worth of settings, repeated under other names.
fn settings(count: usize, lists: bool) -> Value {
    let one = |index: usize| {
        let mut section = json!({
            "bind-address": "127.0.0.1:8080",
            "description": "Settings of the service, with a sentence that is long enough to be folded somewhere: or not",
            "enable": index.is_multiple_of(2),
            "log-level": "info",
            "max_connection_rate": 256,
            "password-file": "/run/credentials/service.service/password",
            "path": format!("/nix/store/a5kvy7zcqk2n0nwl3d0k1m5n6s9r{index:04}-web-assets-0.17/share/assets/"),
            "port": 1024 + index % 60000,
            "ratio": 0.75,
            "script": "set -e\nexec \"$@\"\n",
            "timeout": "30s",
        });
        if lists {
            section["allow"] = json!(["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8"]);
        }
        section
    };
    let sections: Map<String, Value> = (0..count).map(|index| (format!("service-{index:06}"), one(index))).collect();
    sections.into()
}

/// With names that programming languages have.
fn underscored(value: &Value) -> Value {
    match value {
        Value::Object(attrs) => {
            attrs.iter().map(|(name, one)| (name.replace('-', "_"), underscored(one))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

/// With the names of the top as Elixir's atoms.
fn with_colons(sections: &Value) -> Value {
    let attrs = sections.as_object().into_iter().flatten();
    attrs.map(|(name, one)| (format!(":{name}"), one.clone())).collect::<Map<_, _>>().into()
}

/// A KDL document: a node with properties for each section, and one with arguments for its list.
fn nodes(sections: &Value) -> Value {
    let attrs = sections.as_object().into_iter().flatten();
    let node = |(name, section): (&String, &Value)| {
        let mut section = section.clone();
        let allow = section.as_object_mut().and_then(|section| section.remove("allow"));
        json!({ "name": name, "properties": section, "children": [{ "name": "allow", "arguments": allow }] })
    };
    attrs.map(node).collect()
}

/// Without the string that has a line break.
fn without_breaks(mut sections: Value) -> Value {
    for section in sections.as_object_mut().into_iter().flat_map(Map::values_mut) {
        section.as_object_mut().map(|section| section.remove("script"));
    }
    sections
}

fn render(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("render");
    group.sample_size(10);
    for format in format::all() {
        let lists = !matches!(format.name, "ini" | "iniWithGlobalSection");
        let sections = settings(20_000, lists);
        let value = match format.name {
            "iniWithGlobalSection" => json!({ "globalSection": {}, "sections": sections }),
            "javaProperties" | "keyValue" | "nixConf" => (0..200_000)
                .map(|index| (format!("key-{index}"), json!("127.0.0.1:8080")))
                .collect::<Map<_, _>>()
                .into(),
            // One environment variable holds no more.
            "flags" => (0..5000).map(|index| json!({ "flag": "--listen", "value": index })).collect(),
            "edn" => without_breaks(sections),
            "elixirConf" => json!({ ":service": with_colons(&underscored(&sections)) }),
            "kdl" => nodes(&sections),
            "pythonVars" => underscored(&sections),
            "xml" => json!({ "settings": sections }),
            _ => sections,
        };
        let mut parameters = Map::new();
        if format.name == "flags" {
            parameters.insert("variable".to_owned(), json!("FLAGS"));
        }
        let dialects = if format.dialects.is_empty() { &[""] } else { format.dialects };
        for dialect in dialects {
            let dialect = (!dialect.is_empty()).then(|| (*dialect).to_owned());
            let spec = FormatSpec { name: format.name.to_owned(), dialect, parameters: parameters.clone() };
            let name = format!("{}/{}", format.name, spec.dialect.as_deref().unwrap_or("-"));
            let text = match format::render(&spec, &value) {
                Ok(text) => text,
                Err(error) => {
                    eprintln!("{name}: NOT MEASURED: {error}");
                    continue;
                }
            };
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(name, |b| b.iter(|| format::render(&spec, black_box(&value))));
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = render
}
criterion_main!(benches);
