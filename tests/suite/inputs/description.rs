//! Descriptions: whatever they say, `generate` gives an output or says what is wrong.

use camino::Utf8Path;
use dynix::build::{Input, generate};
use dynix::plan::Plan;

pub fn check(data: &[u8]) {
    let Ok(description) = std::str::from_utf8(data) else { return };
    // The fuzz targets are a package of their own.
    let here = Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
    let repository = if here.ends_with("fuzz") { here.parent().unwrap() } else { here };
    let input = Input {
        description,
        static_root: &repository.join("descriptions"),
        dynix: Utf8Path::new("/bin/dynix"),
        plan: Utf8Path::new("/etc/dynix/plan.json"),
    };
    match generate(&input) {
        Ok(tree) => {
            assert_eq!(generate(&input).unwrap(), tree, "the same input gives the same output");
            let (_, plan, _) = tree.files().find(|(path, ..)| *path == "plan.json").unwrap();
            serde_json::from_str::<Plan>(plan).unwrap();
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
