//! `skep explain CODE`.

use super::CommandResult;
use crate::shell::Shell;
use skep::diagnostics::{Class, codes};
use skep::ops::explain::explain;
use skep::report::{Cell, Format, Table};

/// Arguments of `skep explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A code (E0301) or its readable name (map-value-maybe-null)
    #[arg(required_unless_present = "list")]
    code: Option<String>,
    /// List all codes
    #[arg(long, conflicts_with = "code")]
    list: bool,
}

/// Shows the page, or the table of codes.
pub fn run(args: &Args, shell: &Shell) -> CommandResult {
    let Some(name) = &args.code else {
        shell.table(&list());
        return Ok(());
    };
    let explanation = explain(name)?;
    if matches!(shell.format(), Format::Human | Format::Short | Format::Github) {
        shell.page(explanation.page);
    } else {
        let columns = [("code", "code"), ("slug", "name"), ("summary", ""), ("page", "")];
        let mut table = Table::new("explanation", &columns);
        let code = explanation.code;
        let texts = [code.id(), code.slug(), code.summary(), explanation.page];
        table.push(texts.map(|text| Cell::Text(text.to_owned())).to_vec());
        shell.table(&table);
    }
    Ok(())
}

fn list() -> Table {
    let columns =
        [("code", "code"), ("slug", "name"), ("exit_code", "exit"), ("summary", "what it means")];
    let mut table = Table::new("code", &columns);
    for code in codes::ALL {
        let exit_code = match code.class() {
            Class::Finding => 1,
            Class::Usage => 2,
            Class::Environment => 3,
            Class::Interrupted => 130,
        };
        table.push(vec![
            Cell::Text(code.id().to_owned()),
            Cell::Text(code.slug().to_owned()),
            Cell::Count(exit_code),
            Cell::Text(code.summary().to_owned()),
        ]);
    }
    table
}
