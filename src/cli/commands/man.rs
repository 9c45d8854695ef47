//! `dynix man`: the manual pages, from the same definitions as `--help`.

use std::io;

use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::cli::arguments::Cli;
use crate::exit::Exit;

/// Every page: file name and content.
pub fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut command = Cli::command();
    // Gives every subcommand its full name and the global options.
    command.build();
    let mut pages = vec![("dynix.1".to_owned(), main_page(command.clone())?)];
    for subcommand in command.get_subcommands().filter(|one| !one.is_hide_set() && one.get_name() != "help") {
        let name = format!("dynix-{}", subcommand.get_name());
        let page = Man::new(subcommand.clone().name(name.clone())).title(name.to_uppercase()).manual("dynix");
        let mut text = Vec::new();
        page.render(&mut text)?;
        pages.push((format!("{name}.1"), text));
    }
    Ok(pages)
}

/// `dynix(1)`, with the exit codes and files that clap knows nothing of.
fn main_page(command: clap::Command) -> io::Result<Vec<u8>> {
    let page = Man::new(command).manual("dynix");
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_subcommands_section(&mut text)?;
    page.render_options_section(&mut text)?;
    let mut rest = Roff::new();
    rest.control("SH", ["EXIT STATUS"]);
    for (exit, meaning) in Exit::MEANINGS {
        rest.control("TP", []).text([bold((exit as u8).to_string())]).text([roman(meaning)]);
    }
    rest.control("SH", ["FILES"]);
    for (path, meaning) in [
        ("/etc/nixos/dynamic.nix", "the recorded overrides; append-only"),
        ("/var/lib/dynix/dynamic.nix", "the same where /etc/nixos cannot keep it"),
        ("/etc/dynix/plan.json", "the plan that nixos-rebuild compiled from the modules"),
        ("/run/dynix", "rendered generations and the state of what is in effect"),
        ("/var/lib/dynix", "the values that are known to work, for the next boot"),
        ("/var/cache/dynix", "caches of the log, of expressions and of proofs; may be removed at any time"),
    ] {
        rest.control("TP", []).text([bold(path)]).text([roman(meaning)]);
    }
    rest.to_writer(&mut text)?;
    page.render_extra_section(&mut text)?;
    page.render_version_section(&mut text)?;
    Ok(text)
}

/// Writes the pages.
pub fn run(arguments: &crate::cli::arguments::Man) -> anyhow::Result<Exit> {
    use anyhow::Context as _;
    let pages = pages().context("cannot write the man pages")?;
    let Some(directory) = &arguments.directory else {
        let (_, main) = &pages[0];
        return super::print(main);
    };
    for (name, text) in &pages {
        crate::host::fs::atomic::write(
            &directory.join(name),
            text,
            0o644,
            crate::host::fs::atomic::Durability::Volatile,
        )?;
    }
    Ok(Exit::Done)
}
