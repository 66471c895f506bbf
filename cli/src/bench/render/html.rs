//! The report as one page that needs nothing else: style, tables and pictures are in it, and no script.

use core::fmt::Write;

use super::plot::svg;
use super::{day, escape};
use crate::bench::suite::{Conditions, Part, Table, Target};

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#ddd;--soft:#666;--met:#0a7d33;--missed:#c0261c}\
@media(prefers-color-scheme:dark){:root{--line:#444;--soft:#aaa;--met:#5cc986;--missed:#ff8a80}}\
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums;display:block;overflow-x:auto}\
caption{text-align:left;color:var(--soft)}th,td{padding:.25rem .7rem;border-bottom:1px solid var(--line);text-align:right}\
th:first-child,td:first-child{text-align:left}dt{color:var(--soft);float:left;clear:left;width:9rem}dd{margin-left:9.5rem}\
.plot{width:100%;height:auto;margin:1rem 0}.met{color:var(--met)}.missed{color:var(--missed);font-weight:600}\
.about,.note{max-width:48rem}.note{color:var(--soft)}nav a{margin-right:1rem}";

/// The page of these parts.
pub(in crate::bench) fn page(title: &str, parts: &[Part]) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n<h1>{title}</h1>\n",
        title = escape(title)
    );
    head(parts, &mut out);
    targets(parts, &mut out);
    for part in parts {
        section(part, &parts[0].conditions, &mut out);
    }
    out.push_str("</body>\n</html>\n");
    out
}

/// Where and how it was measured. Parts that were measured otherwise say so themselves.
fn head(parts: &[Part], out: &mut String) {
    let Some(first) = parts.first().map(|part| &part.conditions) else {
        return;
    };
    let programs = first.programs.join("; ");
    let rounds = format!("{} a measurement, servers in turn", first.rounds);
    let load = format!("{:.1} processes on average before it began", first.load);
    let day = day(first.when);
    let facts = [
        ("Measured", &day),
        ("Machine", &first.machine),
        ("Cores", &first.cores),
        ("Programs", &programs),
        ("Rounds", &rounds),
        ("Other load", &load),
    ];
    out.push_str("<dl>\n");
    for (name, value) in facts {
        let _ = writeln!(out, "<dt>{name}</dt><dd>{}</dd>", escape(value));
    }
    out.push_str("</dl>\n");
    if parts.iter().any(|part| part.conditions.quick) {
        out.push_str(
            "<p class=\"missed\">Measured in a hurry: the figures count for little.</p>\n",
        );
    }
    out.push_str("<nav>");
    for part in parts {
        let _ = write!(
            out,
            "<a href=\"#{}\">{}</a>",
            part.name,
            escape(&part.title)
        );
    }
    out.push_str("</nav>\n");
}

fn targets(parts: &[Part], out: &mut String) {
    let targets: Vec<&Target> = parts.iter().flat_map(|part| &part.targets).collect();
    if targets.is_empty() {
        return;
    }
    let met = targets.iter().filter(|target| target.met).count();
    let _ = writeln!(
        out,
        "<h2 id=\"targets\">Targets: {met} of {} met</h2>\n<table>\n<tr><th>target</th><th>wanted</th><th>measured</th>\
         <th></th></tr>",
        targets.len()
    );
    for target in targets {
        let verdict = if target.met { "met" } else { "missed" };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"{verdict}\">{verdict}</td></tr>",
            escape(&target.what),
            escape(&target.wanted),
            escape(&target.measured)
        );
    }
    out.push_str("</table>\n");
}

fn section(part: &Part, usual: &Conditions, out: &mut String) {
    let _ = writeln!(
        out,
        "<h2 id=\"{}\">{}</h2>\n<p class=\"about\">{}</p>",
        part.name,
        escape(&part.title),
        escape(&part.about)
    );
    let own = &part.conditions;
    let same = (
        &own.machine,
        &own.cores,
        &own.programs,
        own.rounds,
        own.quick,
    ) == (
        &usual.machine,
        &usual.cores,
        &usual.programs,
        usual.rounds,
        usual.quick,
    );
    if !same || day(own.when) != day(usual.when) {
        let _ = writeln!(
            out,
            "<p class=\"note\">Measured otherwise: {}; {}; {}; {}; {} rounds{}.</p>",
            day(own.when),
            escape(&own.machine),
            escape(&own.cores),
            escape(&own.programs.join(", ")),
            own.rounds,
            if own.quick { ", in a hurry" } else { "" }
        );
    }
    for each in &part.tables {
        table(each, out);
    }
    for note in &part.notes {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escape(note));
    }
    for plot in &part.plots {
        out.push_str(&svg(plot));
    }
}

fn table(table: &Table, out: &mut String) {
    out.push_str("<table>\n");
    if !table.caption.is_empty() {
        let _ = writeln!(out, "<caption>{}</caption>", escape(&table.caption));
    }
    let mut row = |cells: &[String], tag: &str| {
        let cells: String = cells
            .iter()
            .map(|cell| format!("<{tag}>{}</{tag}>", escape(cell)))
            .collect();
        let _ = writeln!(out, "<tr>{cells}</tr>");
    };
    row(&table.columns, "th");
    for cells in &table.rows {
        row(cells, "td");
    }
    out.push_str("</table>\n");
}
