//! The table of crates in `docs/architecture.md`.

use std::collections::BTreeSet;

#[derive(Debug, Eq, PartialEq)]
pub struct Area {
    pub name: String,
    pub here: bool,
    pub dev_only: bool,
    pub may_link: Allowed,
}

#[derive(Debug, Eq, PartialEq)]
pub enum Allowed {
    Any,
    Only(BTreeSet<String>),
}

/// Rows look like ``| `area` | here | what (dev only) | one, other |``; a dash in the last cell is nothing.
pub fn parse(page: &str) -> Vec<Area> {
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| area |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let areas: Vec<Area> = rows.map(row).collect();
    assert!(!areas.is_empty(), "docs/architecture.md has no table of crates");
    areas
}

fn row(line: &str) -> Area {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [name, is, what, links] = cells[..] else { panic!("not four cells: {line}") };
    Area {
        name: name.trim_matches('`').to_owned(),
        here: match is {
            "here" => true,
            "planned" => false,
            other => panic!("{name} is neither `here` nor `planned` but {other:?}"),
        },
        dev_only: what.contains("(dev only"),
        may_link: match links {
            "any" => Allowed::Any,
            "–" => Allowed::Only(BTreeSet::new()),
            links => Allowed::Only(links.split(", ").map(str::to_owned).collect()),
        },
    }
}

#[test]
fn reads_rows() {
    let page = "text\n\n| area | is | what | → |\n|---|---|---|---|\n| `a` | here | x (dev only) | b, c |\n| `b` | planned | y | – |\n\
                | `c` | here | z | any |\n\n| `d` | here | another table | – |\n";
    let only = |names: &[&str]| Allowed::Only(names.iter().map(|name| (*name).to_owned()).collect());
    let area =
        |name: &str, here, dev_only, may_link| Area { name: name.to_owned(), here, dev_only, may_link };
    assert_eq!(
        parse(page),
        [
            area("a", true, true, only(&["b", "c"])),
            area("b", false, false, only(&[])),
            area("c", true, false, Allowed::Any),
        ]
    );
}
