//! The arguments of a command as data, read from its usage line: COMMAND DOCS tells them, and shells make their hints
//! of them.
//!
//! A usage line is what people write: `word` stands for a value, `WORD` and `-x` for themselves and for the values
//! behind them, `[…]` for what can be left out, `<… | …>` for one of several, and `x [x ...]` for one or more.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use crate::reply::Reply;

/// One argument, or several that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Argument<'u> {
    name: String,
    /// The word in front of it, or the word that it is.
    token: Option<&'u str>,
    kind: Kind<'u>,
    optional: bool,
    multiple: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind<'u> {
    /// A value, of a type that Redis knows.
    Value(&'static str),
    /// The token alone.
    Token,
    /// One of these.
    OneOf(Vec<Argument<'u>>),
    /// All of these.
    Block(Vec<Argument<'u>>),
}

/// The arguments that `usage` describes.
pub(super) fn parse(usage: &str) -> Vec<Argument<'_>> {
    let mut alternatives = Reader { rest: usage }.alternatives("");
    debug_assert_eq!(
        alternatives.len(),
        1,
        "alternatives stand in brackets: {usage}"
    );
    alternatives.pop().unwrap_or_default().arguments
}

struct Reader<'u> {
    rest: &'u str,
}

/// Arguments in a row.
#[derive(Default)]
struct Sequence<'u> {
    arguments: Vec<Argument<'u>>,
    /// Whether they end in `...`.
    repeated: bool,
}

impl<'u> Reader<'u> {
    /// The next word or bracket; empty at the end.
    fn next(&mut self) -> &'u str {
        let rest = self.rest.trim_start();
        let end = match rest.find(|c: char| c.is_whitespace() || "[]<>|".contains(c)) {
            Some(0) => 1,
            Some(end) => end,
            None => rest.len(),
        };
        let (word, rest) = rest.split_at(end);
        self.rest = rest;
        word
    }

    /// What stands before `end`, each alternative on its own.
    fn alternatives(&mut self, end: &str) -> Vec<Sequence<'u>> {
        let mut alternatives = vec![];
        let mut current = Sequence::default();
        loop {
            match self.next() {
                "|" => alternatives.push(core::mem::take(&mut current)),
                "[" => current.push_optional(self.alternatives("]")),
                "<" => current.arguments.push(group(self.alternatives(">"))),
                "..." => current.repeated = true,
                word if word == end || word.is_empty() => break,
                word => current.arguments.push(Argument::word(word)),
            }
        }
        alternatives.push(current);
        for alternative in &mut alternatives {
            alternative.join_tokens();
        }
        alternatives
    }
}

impl<'u> Sequence<'u> {
    fn push_optional(&mut self, mut alternatives: Vec<Self>) {
        if let [
            Self {
                arguments,
                repeated: true,
            },
        ] = &mut alternatives[..]
            && self.arguments.ends_with(arguments)
        {
            // `x [x ...]`: what was read already is repeated.
            self.arguments
                .truncate(self.arguments.len() - arguments.len());
            let repeated = together(core::mem::take(arguments));
            return self.arguments.push(Argument {
                multiple: true,
                ..repeated
            });
        }
        self.arguments.push(Argument {
            optional: true,
            ..group(alternatives)
        });
    }

    /// Gives each token the values behind it.
    fn join_tokens(&mut self) {
        let mut joined: Vec<Argument<'u>> = Vec::new();
        let mut rest = core::mem::take(&mut self.arguments).into_iter().peekable();
        while let Some(argument) = rest.next() {
            let mut values = Vec::new();
            if argument.kind == Kind::Token {
                let is_value = |next: &Argument<'_>| next.token.is_none() && !next.optional;
                values.extend(core::iter::from_fn(|| rest.next_if(is_value)));
            }
            joined.push(match values.len() {
                0 => argument,
                1 => Argument {
                    token: argument.token,
                    ..together(values)
                },
                _ => Argument {
                    kind: Kind::Block(values),
                    ..argument
                },
            });
        }
        self.arguments = joined;
    }
}

impl<'u> Argument<'u> {
    fn word(word: &'u str) -> Self {
        let is_token = word.starts_with('-') || !word.contains(|c: char| c.is_ascii_lowercase());
        let (token, kind) = if is_token {
            (Some(word), Kind::Token)
        } else {
            (None, Kind::Value(kind_of(word)))
        };
        let name = word.trim_start_matches('-').to_ascii_lowercase();
        Self {
            name,
            token,
            kind,
            optional: false,
            multiple: false,
        }
    }

    /// Describes the argument as COMMAND DOCS does.
    pub(super) fn describe(&self, reply: &mut Reply<'_>) {
        let (kind, inner) = match &self.kind {
            Kind::Value(kind) => (*kind, None),
            Kind::Token => ("pure-token", None),
            Kind::OneOf(inner) => ("oneof", Some(inner)),
            Kind::Block(inner) => ("block", Some(inner)),
        };
        let flags = [("optional", self.optional), ("multiple", self.multiple)];
        let flags = || flags.iter().filter(|(_, set)| *set);
        let fields = [
            kind == "key",
            self.token.is_some(),
            flags().count() > 0,
            inner.is_some(),
        ];
        reply.map(2 + fields.iter().filter(|given| **given).count());
        reply.bulk(b"name");
        reply.bulk(self.name.as_bytes());
        reply.bulk(b"type");
        reply.bulk(kind.as_bytes());
        if kind == "key" {
            reply.bulk(b"key_spec_index");
            reply.integer(0);
        }
        if let Some(token) = self.token {
            reply.bulk(b"token");
            reply.bulk(token.as_bytes());
        }
        if flags().count() > 0 {
            reply.bulk(b"flags");
            reply.set(flags().count());
            flags().for_each(|(flag, _)| reply.status(flag));
        }
        if let Some(inner) = inner {
            reply.bulk(b"arguments");
            reply.array(inner.len());
            inner.iter().for_each(|argument| argument.describe(reply));
        }
    }
}

/// Redis's type of a value, told by its name.
fn kind_of(name: &str) -> &'static str {
    match name {
        "key" | "newkey" => "key",
        "pattern" => "pattern",
        "increment" => "double",
        "unix-time-seconds" | "unix-time-milliseconds" => "unix-time",
        "count" | "cursor" | "end" | "index" | "milliseconds" | "offset" | "protover"
        | "seconds" | "start" | "stop" => "integer",
        _ => "string",
    }
}

/// The one argument, or all of them as one.
fn together(mut arguments: Vec<Argument<'_>>) -> Argument<'_> {
    match arguments.len() {
        1 => arguments.remove(0),
        _ => combined(Kind::Block, arguments),
    }
}

/// The one alternative, or a choice.
fn group(alternatives: Vec<Sequence<'_>>) -> Argument<'_> {
    let arguments: Vec<_> = alternatives
        .into_iter()
        .map(|one| together(one.arguments))
        .collect();
    match arguments.len() {
        1 => together(arguments),
        _ => combined(Kind::OneOf, arguments),
    }
}

fn combined<'u>(
    kind: fn(Vec<Argument<'u>>) -> Kind<'u>,
    arguments: Vec<Argument<'u>>,
) -> Argument<'u> {
    // People never see the name of a group.
    let name = arguments
        .first()
        .map_or("none", |first| &first.name)
        .to_string();
    Argument {
        name,
        token: None,
        kind: kind(arguments),
        optional: false,
        multiple: false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::table;
    use super::*;
    use alloc::format;

    /// A hint as redis-cli makes it.
    fn hint(arguments: &[Argument<'_>], separator: &str) -> String {
        arguments
            .iter()
            .map(one_hint)
            .collect::<Vec<_>>()
            .join(separator)
    }

    fn one_hint(argument: &Argument<'_>) -> String {
        let body = match &argument.kind {
            Kind::Value(_) => argument.name.clone(),
            Kind::Token => String::new(),
            Kind::OneOf(inner) => hint(inner, "|"),
            Kind::Block(inner) => hint(inner, " "),
        };
        let token = argument.token.unwrap_or("");
        let space = if token.is_empty() || body.is_empty() {
            ""
        } else {
            " "
        };
        let many = if argument.multiple {
            format!(" [{body} ...]")
        } else {
            String::new()
        };
        let (open, close) = if argument.optional {
            ("[", "]")
        } else {
            ("", "")
        };
        format!("{open}{token}{space}{body}{many}{close}")
    }

    #[test]
    fn hints_made_of_the_arguments_read_like_the_usage() {
        let usages = table()
            .iter()
            .filter(|command| command.subcommands().is_empty());
        let usages = usages.map(|command| command.usage);
        let of_subcommands = table().iter().flat_map(|command| command.subcommands());
        for usage in usages.chain(of_subcommands.map(|sub| sub.usage)) {
            let expected = usage.replace(" | ", "|").replace(['<', '>'], "");
            assert_eq!(hint(&parse(usage), " "), expected);
        }
    }

    #[test]
    fn structure_is_recognised() {
        let arguments = parse("key [-t ttl] field value [field value ...] [NX | XX] [EX seconds]");
        let [key, ttl, pairs, condition, expiry] = &arguments[..] else {
            panic!("{arguments:?}")
        };
        assert_eq!((&*key.name, &key.kind), ("key", &Kind::Value("key")));
        assert_eq!(
            (&*ttl.name, ttl.token, ttl.optional),
            ("ttl", Some("-t"), true)
        );
        assert!(pairs.multiple && matches!(&pairs.kind, Kind::Block(inner) if inner.len() == 2));
        assert!(
            condition.optional && matches!(&condition.kind, Kind::OneOf(inner) if inner.len() == 2)
        );
        assert_eq!(
            (expiry.token, &expiry.kind),
            (Some("EX"), &Kind::Value("integer"))
        );
    }
}
