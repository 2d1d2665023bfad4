//! `skep inspect OBJ`, `skep inspect btf SRC [TYPE|ID]…`.

mod objects;

use super::CommandResult;
use crate::shell::Shell;
use clap::{Subcommand, ValueEnum};
use skep::btf::{Btf, Type, TypeId};
use skep::ops::Session;
use skep::ops::build::Profile;
use skep::ops::inspect::{self, Found, Layout, Request, Slot};
use skep::report::{Cell, Format, Table};
use std::path::PathBuf;

/// Arguments of `skep inspect`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
#[command(subcommand_negates_reqs = true)]
pub struct Args {
    /// An object; or a source or project, which is built first
    #[arg(value_name = "OBJ", required = true)]
    object: Option<PathBuf>,
    /// Build with the profile `release`
    #[arg(long)]
    release: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show types of a kernel or an object: sizes, offsets, holes, who refers to them
    Btf(BtfArgs),
}

#[derive(Debug, clap::Args)]
struct BtfArgs {
    /// Where the BTF is: raw BTF, an ELF file, a kernel image, package or reference (`host` is the
    /// running kernel)
    #[arg(value_name = "SRC")]
    source: PathBuf,
    /// Names (`task_struct`, `struct list_head`) or numbers of types; none: how many there are of
    /// each kind
    #[arg(value_name = "TYPE|ID")]
    types: Vec<String>,
    /// Look at a module's types too: its name below /sys/kernel/btf, or a file
    #[arg(long = "module", value_name = "MODULE")]
    modules: Vec<String>,
    /// How to show types
    #[arg(long = "as", value_name = "FORM", value_enum, default_value_t)]
    form: Form,
    /// Show who refers to the types
    #[arg(long, requires = "types", conflicts_with = "form")]
    users: bool,
}

/// The values of `--as`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Offsets, sizes and holes
    #[default]
    Layout,
    /// C, with what it needs
    C,
    /// The records, as bpftool dumps them
    Raw,
}

/// Looks and reports.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    match (args.command, args.object) {
        (Some(Command::Btf(args)), _) => btf(args, session, shell),
        (None, Some(object)) => {
            let profile = if args.release { Profile::Release } else { Profile::Dev };
            objects::run(object, profile, session, shell)
        }
        // clap asks for one of them.
        (None, None) => Ok(()),
    }
}

fn btf(args: BtfArgs, session: &Session, shell: &Shell) -> CommandResult {
    let BtfArgs { source, types, modules, form, users } = args;
    let found = inspect::find(session, &Request { from: Some(source), modules, types })?;
    match form {
        Form::C => shell.raw(&inspect::c(&found)?),
        Form::Raw => shell.raw(inspect::raw(&found).as_bytes()),
        Form::Layout if found.types.is_empty() => shell.table(&kinds(&found.btf)),
        Form::Layout => {
            for (index, id) in found.types.iter().enumerate() {
                if index > 0 && shell.format() == Format::Human {
                    shell.raw(b"\n");
                }
                if users { show_users(&found, *id, shell) } else { show(&found.btf, *id, shell) }
            }
        }
    }
    Ok(())
}

fn kinds(btf: &Btf) -> Table {
    let mut table = Table::new("btf-kind", &[("kind", "KIND"), ("count", "COUNT")]);
    for (kind, count) in inspect::count(btf) {
        table.push(vec![Cell::Text(kind.as_str().to_owned()), Cell::Count(count.into())]);
    }
    table
}

/// A type as one row, and its members or values as more.
fn show(btf: &Btf, id: TypeId, shell: &Shell) {
    let layout = inspect::layout(btf, id);
    let mut table = Table::new(
        "btf-type",
        &[
            ("id", "ID"),
            ("kind", ""),
            ("name", ""),
            ("declaration", "TYPE"),
            ("size", "SIZE"),
            ("align", "ALIGN"),
            ("members", "MEMBERS"),
            ("holes", "HOLES"),
            ("hole_bits", ""),
            ("padding_bits", ""),
        ],
    );
    let number = |number: u64| Cell::Number(number);
    let of_layout =
        |get: fn(&Layout) -> u64| layout.as_ref().map_or(Cell::Unknown, |l| number(get(l)));
    let members = match btf.ty(id) {
        Type::Struct(composite) | Type::Union(composite) => number(composite.len() as u64),
        Type::Enum(values) => number(values.len() as u64),
        Type::FuncProto(proto) => number(proto.len() as u64),
        _ => Cell::Unknown,
    };
    table.push(vec![
        Cell::Number(id.0.into()),
        Cell::Text(btf.kind(id).as_str().to_owned()),
        Cell::Text(btf.name(id).to_owned()),
        Cell::Text(declaration(btf, id)),
        btf.size(id).map_or(Cell::Unknown, number),
        match btf.ty(id) {
            Type::Var(_) | Type::Datasec(_) => Cell::Unknown,
            _ if btf.size(id).is_none() => Cell::Unknown,
            _ => number(btf.align(id)),
        },
        members,
        of_layout(|layout| layout.holes as u64),
        of_layout(|layout| layout.hole_bits),
        of_layout(|layout| layout.padding_bits),
    ]);
    shell.table(&table);
    if let Some(layout) = &layout {
        show_layout(id, layout, shell);
    }
    if let Some(values) = inspect::values(btf, id) {
        let columns = [("type", ""), ("name", "VALUE"), ("value", "NUMBER")];
        let mut table = Table::new("btf-value", &columns);
        for (name, value) in values {
            let cells =
                vec![Cell::Number(id.0.into()), Cell::Text(name), Cell::Text(value.to_string())];
            table.push(cells);
        }
        shell.table(&table);
    }
}

/// What a type is, in C as far as C has words for it.
fn declaration(btf: &Btf, id: TypeId) -> String {
    match btf.ty(id) {
        Type::Typedef { name, target } => format!("typedef {}", btf.spell(target, name)),
        Type::Func { name, proto, .. } => btf.spell(proto, name),
        Type::Var(var) => btf.spell(var.ty, var.name),
        Type::Datasec(section) => format!("section {}", section.name),
        Type::DeclTag(tag) => {
            let part = tag.component.and_then(|part| part_of(btf, tag.target, part as usize));
            format!("{:?} on {}{}", tag.value, btf.word(tag.target), part.unwrap_or_default())
        }
        _ => btf.spell(id, ""),
    }
}

/// A member or parameter behind the name of what has it.
fn part_of(btf: &Btf, id: TypeId, index: usize) -> Option<String> {
    match btf.ty(id) {
        Type::Struct(composite) | Type::Union(composite) => {
            Some(format!(".{}", composite.member(index)?.name))
        }
        Type::Func { proto, .. } => match btf.ty(proto) {
            Type::FuncProto(proto) => Some(format!("({})", proto.params().nth(index)?.name)),
            _ => None,
        },
        _ => None,
    }
}

fn show_layout(id: TypeId, layout: &Layout, shell: &Shell) {
    let mut table = Table::new(
        "btf-member",
        &[
            ("type", ""),
            ("at", "OFFSET"),
            ("width", "SIZE"),
            ("declaration", "MEMBER"),
            ("name", ""),
            ("bit_offset", ""),
            ("bits", ""),
            ("depth", ""),
            ("hole", ""),
        ],
    );
    for slot in &layout.slots {
        let indent = "    ".repeat(slot.depth);
        let (name, text) = match &slot.member {
            Some((name, text)) => (Cell::Text(name.clone()), Cell::Text(format!("{indent}{text}"))),
            None => (Cell::Unknown, Cell::Caution(format!("{indent}(hole)"))),
        };
        table.push(vec![
            Cell::Number(id.0.into()),
            Cell::Text(place(slot.bit_offset, slot)),
            Cell::Text(place(slot.bits, slot)),
            text,
            name,
            Cell::Number(slot.bit_offset),
            Cell::Number(slot.bits),
            Cell::Number(slot.depth as u64),
            Cell::Flag(slot.member.is_none()),
        ]);
    }
    shell.table(&table);
}

/// Bits as bytes, with the rest behind a colon where it counts.
fn place(bits: u64, slot: &Slot) -> String {
    let (bytes, rest) = (bits / 8, bits % 8);
    if rest > 0 || slot.is_bit_field { format!("{bytes}:{rest}") } else { bytes.to_string() }
}

fn show_users(found: &Found, id: TypeId, shell: &Shell) {
    let columns = [("type", ""), ("id", "ID"), ("user", "USER"), ("mention", "MENTION")];
    let mut table = Table::new("btf-user", &columns);
    for user in found.btf.users(id) {
        let (what, how) = inspect::mention(&found.btf, user);
        table.push(vec![
            Cell::Number(id.0.into()),
            Cell::Number(user.ty.0.into()),
            Cell::Text(what),
            Cell::Text(how),
        ]);
    }
    shell.table(&table);
}
