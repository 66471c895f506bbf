//! The dashboard for Grafana asks for nothing that a server does not tell.

use std::collections::HashSet;

use serde_json::Value;

use crate::{ask, get, server};

const DASHBOARD: &str = include_str!("../../../examples/deploy/grafana/ant-cache.json");

/// All expressions of a dashboard.
fn expressions<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(text) if name == "expr" => found.push(text),
                    _ => expressions(value, found),
                }
            }
        }
        Value::Array(elements) => elements
            .iter()
            .for_each(|element| expressions(element, found)),
        _ => {}
    }
}

#[test]
fn every_figure_of_the_dashboard_exists() {
    let (server, address) = server(&["--workers", "4"]);
    ask(&server, "SET key value");
    let text = get(address, "/metrics");
    let known: HashSet<&str> = text
        .lines()
        .filter(|line| line.starts_with("antcache_"))
        .map(|line| line.split(['{', ' ']).next().unwrap())
        .collect();
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut found = Vec::new();
    expressions(&dashboard, &mut found);
    assert!(found.len() > 15, "{}", found.len());
    for expression in found {
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let names: Vec<_> = words.filter(|word| word.starts_with("antcache_")).collect();
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            assert!(known.contains(name), "{name} in {expression}");
        }
        let balanced = [('(', ')'), ('{', '}'), ('[', ']')]
            .iter()
            .all(|&(open, close)| {
                expression.matches(open).count() == expression.matches(close).count()
            });
        assert!(balanced, "{expression}");
    }
    let ids = dashboard["panels"].as_array().unwrap().iter();
    let ids: Vec<_> = ids.map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
}
