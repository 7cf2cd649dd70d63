//! Why an object was not loaded: a kind that a report can say in a few words, and the words of libbpf.

/// What libbpf and the kernel say, and the kind of refusal that it is; the first that is said counts.
const KINDS: &[(&str, &str)] = &[
    ("legacy map definitions", "declares maps in a form that libbpf has given up"),
    ("bad map relo against", "declares maps in a form that libbpf has given up"),
    ("failed to guess program type", "has a section that this libbpf does not know"),
    ("failed to find kernel BTF type ID of", "attaches to what this kernel does not have"),
    ("unknown#195896080", "needs types that this kernel does not have"),
    ("<invalid CO-RE relocation>", "needs types that this kernel does not have"),
    ("not found in kernel or module BTFs", "needs types that this kernel does not have"),
    ("failed to resolve", "needs what this kernel does not have"),
    ("Operation not permitted", "does what is not permitted here"),
    (": failed to create: ", "has a map that its program completes at run time, or that this kernel does not have"),
    ("BPF program load failed", "has a program that the verifier refuses"),
];

/// A refusal to load, or to link.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) kind: &'static str,
    /// The lines of libbpf, without what differs between two files with the same content.
    pub(super) words: String,
}

impl Refusal {
    /// From what bpftool wrote on standard error about the file `object`.
    pub(super) fn new(complaint: &str, object: &str) -> Refusal {
        let kind = KINDS.iter().find(|(sign, _)| complaint.contains(sign));
        // What the verifier says stands between such lines and is long.
        let said = complaint.lines().filter(|line| line.starts_with("libbpf: ") || line.starts_with("Error: "));
        let words = said.map(|line| without_indices(&line.replace(object, "it"))).collect::<Vec<_>>().join("; ");
        Refusal {
            kind: kind.map_or("is refused for a reason that has no name here", |(_, kind)| kind),
            words: if words.is_empty() { complaint.trim().to_owned() } else { words },
        }
    }

    /// Whether both say the same.
    pub(super) fn is_like(&self, other: &Refusal) -> bool {
        self.kind == other.kind && self.words == other.words
    }
}

/// The line with `section(5)` as `section`: a linked object has other sections.
fn without_indices(line: &str) -> String {
    let mut parts = line.split("section(");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')').filter(|(index, _)| index.chars().all(|c| c.is_ascii_digit())) {
            Some((_, rest)) => text.extend(["section", rest]),
            None => text.extend(["section(", part]),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Refusal, without_indices};

    #[test]
    fn refusals_are_alike_whatever_the_file_and_its_sections() {
        let say = |file: &str, section: u32| {
            let text = format!(
                "libbpf: elf: skipping unrecognized data section({section}) x/maps\nR1 type=ctx\n\
                 libbpf: prog 'p': bad map relo against 'm' in section 'x/maps'\nError: failed to open {file}\n"
            );
            Refusal::new(&text, file)
        };
        assert!(say("a.o", 5).is_like(&say("b.o", 13)));
        assert_eq!(say("a.o", 5).kind, "declares maps in a form that libbpf has given up");
        assert!(!say("a.o", 5).words.contains("R1"));
        assert_eq!(without_indices("section(7) x, section(type) names"), "section x, section(type) names");
        assert!(!say("a.o", 5).is_like(&Refusal::new("libbpf: prog 'p': BPF program load failed", "a.o")));
    }
}
