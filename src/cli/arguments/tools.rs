//! Verbs that need no system.

use camino::Utf8PathBuf;
use clap::Args;

/// `dynix render`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  echo '{\"workers\": 4}' | dynix render --format toml
  dynix render --format yaml_1_1 --dialect pyyaml settings.json
  dynix render --format keyValue --parameters '{\"separator\": \" = \"}' settings.json")]
pub struct Render {
    /// The format, as in nixpkgs' `pkgs.formats`
    #[arg(long, value_name = "NAME", required_unless_present = "list")]
    pub format: Option<String>,
    /// The generator whose output to match
    #[arg(long, value_name = "NAME", requires = "format")]
    pub dialect: Option<String>,
    /// The format's parameters
    #[arg(long, value_name = "JSON", requires = "format")]
    pub parameters: Option<String>,
    /// List the formats, or --format alone, with their dialects and parameters
    #[arg(long, conflicts_with_all = ["dialect", "parameters", "file"])]
    pub list: bool,
    /// Print the list as JSON
    #[arg(long, requires = "list")]
    pub json: bool,
    /// The value (JSON) [default: standard input]
    pub file: Option<Utf8PathBuf>,
}

/// `dynix recognise`
#[derive(Debug, Args)]
#[command(after_help = "\
Tries every format, dialect and parameter. Exits with 1, and shows how the nearest differs, if none writes the file.

Examples:
  dynix recognise /etc/harmonia.toml --value '{\"workers\": 4}'
  nix eval --json .#settings | dynix recognise /etc/radicale.conf")]
pub struct Recognise {
    /// The file that Nix wrote
    pub file: Utf8PathBuf,
    /// The value in the file [default: JSON from standard input]
    #[arg(long, value_name = "JSON")]
    pub value: Option<String>,
    /// Only this format
    #[arg(long, value_name = "NAME")]
    pub format: Option<String>,
    /// Only this dialect
    #[arg(long, value_name = "NAME", requires = "format")]
    pub dialect: Option<String>,
    /// Parameters that are known
    #[arg(long, value_name = "JSON", requires = "format")]
    pub parameters: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `dynix demo`
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  dynix demo --keep")]
pub struct Demo {
    /// Keep the temporary directory
    #[arg(long)]
    pub keep: bool,
}

/// `dynix completions`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  source <(dynix completions bash)
  dynix completions fish | source")]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `dynix man`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dynix man | man -l -
  dynix man share/man/man1")]
pub struct Man {
    /// Write dynix.1 and a page for each command to DIR [default: dynix.1 to standard output]
    pub directory: Option<Utf8PathBuf>,
}
