//! No text makes the parser or the evaluator panic, and arithmetic is that of a naive evaluation.

use jitlink_check::{Rules, Verdict, View};
use jitlink_core::link::LinkMap;
use jitlink_core::{Addr, Endian};
use proptest::prelude::*;

fn evaluate(text: &str) -> Option<Vec<Verdict>> {
    let rules = match Rules::parse("r", text) {
        Ok(rules) => rules,
        Err(errors) => {
            assert!(!errors.0.is_empty());
            // Whatever is wrong can be shown.
            assert!(!errors.to_string().is_empty());
            return None;
        }
    };
    let map = LinkMap { absolute: vec![("a".into(), Addr(0x100)), ("b".into(), Addr(u64::MAX))], ..LinkMap::default() };
    let memory = vec![(Addr(0x100), vec![0x80; 16])];
    let outcomes = rules.evaluate(&View { map: &map, endian: Endian::Little, memory: &memory });
    for outcome in &outcomes {
        let _ = outcome.to_string();
    }
    Some(outcomes.into_iter().map(|outcome| outcome.verdict).collect())
}

/// Words and signs of rules in any order.
fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "a",
        "b",
        ".",
        "in",
        "\"",
        "\"x\"",
        "0",
        "1",
        "0xffffffffffffffff",
        "127",
        "63",
        "u8(",
        "i64be(",
        "size(",
        "got(",
        "stub(",
        "exists(",
        "section(",
        "symbol(",
        "(",
        ")",
        "[",
        "]",
        "[63:0]",
        ":",
        ",",
        "+",
        "-",
        "*",
        "/",
        "%",
        "<<",
        ">>",
        "&",
        "|",
        "^",
        "~",
        "!",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "&&",
        "||",
        "\\",
        "\n# jitlink-check:",
        "\na:\n",
        "é",
        "\t",
        "\n# jitlink-check-error:",
        "\n# jitlink-check-error[x]:",
        "\n# jitlink-check-link: --base",
        "--define",
        "x=1",
        "*/",
    ]);
    prop::collection::vec(word, 0..40).prop_map(|words| format!("# jitlink-check: {}", words.join(" ")))
}

/// An expression and its value, where 128 bits hold it.
fn arithmetic() -> impl Strategy<Value = (String, Option<i128>)> {
    let leaf = prop_oneof![
        any::<u64>().prop_map(|number| (number.to_string(), Some(i128::from(number)))),
        (0u64..200).prop_map(|number| (format!("{number:#x}"), Some(i128::from(number)))),
        Just(("a".to_string(), Some(0x100))),
        Just(("i8(a)".to_string(), Some(-0x80))),
    ];
    leaf.prop_recursive(6, 40, 2, |inner| {
        let operators = prop::sample::select(vec!["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"]);
        prop_oneof![
            (inner.clone(), operators, inner.clone()).prop_map(|((left, x), operator, (right, y))| {
                let value = x.zip(y).and_then(|(x, y)| naive(operator, x, y));
                (format!("({left} {operator} {right})"), value)
            }),
            inner.clone().prop_map(|(text, value)| (format!("(-{text})"), value.and_then(i128::checked_neg))),
            inner.clone().prop_map(|(text, value)| (format!("(~{text})"), value.map(|value| -1 - value))),
            (inner, 0u32..64, 0u32..64).prop_map(|((text, value), first, second)| {
                let (high, low) = (first.max(second), first.min(second));
                let modulus = 1i128 << (high - low + 1);
                (format!("({text}[{high}:{low}])"), value.map(|value| value.div_euclid(1 << low).rem_euclid(modulus)))
            }),
        ]
    })
}

fn naive(operator: &str, x: i128, y: i128) -> Option<i128> {
    match operator {
        "+" => x.checked_add(y),
        "-" => x.checked_sub(y),
        "*" => x.checked_mul(y),
        "/" => x.checked_div(y),
        "%" => x.checked_rem(y),
        "&" => Some(x & y),
        "|" => Some(x | y),
        "^" => Some(x ^ y),
        "<<" if x == 0 && (0..128).contains(&y) => Some(0),
        "<<" if x == -1 && y == 127 => Some(i128::MIN),
        "<<" => (0..127).contains(&y).then(|| x.checked_mul(1 << y)).flatten(),
        _ if y == 127 => Some(if x < 0 { -1 } else { 0 }),
        _ => (0..127).contains(&y).then(|| x.div_euclid(1 << y)),
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "\\PC{0,200}") {
        evaluate(&text);
        evaluate(&format!("# jitlink-check: {text}"));
        evaluate(&format!("x # jitlink-check-link: {text}\n# jitlink-check: a == 1"));
        evaluate(&format!("// jitlink-check{text}"));
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let text = String::from_utf8_lossy(&bytes);
        evaluate(&text);
        evaluate(&text.replace('\0', "jitlink-check:"));
    }

    #[test]
    fn any_words_are_read_without_panic(text in words()) {
        evaluate(&text);
    }

    #[test]
    fn arithmetic_is_that_of_numbers((text, value) in arithmetic()) {
        let verdict = |rule: String| evaluate(&format!("# jitlink-check: {rule}")).unwrap().remove(0);
        match value {
            Some(value) => {
                let rule = format!("{text} == {}", literal(value));
                prop_assert!(matches!(verdict(rule), Verdict::Passed), "{text} is not {value}");
            }
            None => {
                let verdict = verdict(format!("{text} == 0"));
                prop_assert!(matches!(verdict, Verdict::Invalid(_)), "{text}: {verdict:?}");
            }
        }
    }
}

/// A number of 128 bits in numbers of 64.
fn literal(value: i128) -> String {
    let (high, low) = ((value >> 64) as i64, value as u64);
    let sign = if high < 0 { "-" } else { "" };
    format!("(({sign}{}) << 64 | {low:#x})", high.unsigned_abs())
}
