//! One object of several, as `bpftool gen object` makes it.

use crate::compilers::compile;
use crate::kit::{check_references, fixtures, function, inputs, link, link_with, references, registry};
use jitlink_arch_bpf::image::BpfImage;
use jitlink_arch_bpf::link::{BpfOptions, Kconfig};
use jitlink_core::link::{LinkOptions, Roots, relocatable};

fn together(objects: &[(&str, Vec<u8>)], roots: Roots) -> Vec<u8> {
    let options = LinkOptions { roots, ..LinkOptions::default() };
    relocatable(&registry(), &inputs(objects), &options).unwrap_or_else(|error| panic!("{error}"))
}

/// What functions refer to, by name: the same however often the objects were linked before.
fn meaning(image: &BpfImage) -> Vec<(String, Vec<(u64, String)>)> {
    let mut all: Vec<_> =
        image.functions.iter().map(|function| (function.name.clone(), references(image, &function.name))).collect();
    all.sort();
    all
}

#[test]
fn linking_the_object_gives_what_linking_its_parts_does() {
    for names in [&["one"][..], &["legacy"], &["maps"], &["shared_a", "shared_b"]] {
        let parts = fixtures(names);
        let once = together(&parts, Roots::Exported);
        let image = link(&[("once", once.clone())]).unwrap();
        check_references(&image);
        let direct = link(&parts).unwrap();
        if names.len() == 1 {
            assert_eq!(meaning(&image), meaning(&direct), "{names:?}");
        }
        assert_eq!(image.maps.len(), direct.maps.len());
        assert_eq!(image.license, direct.license);
        assert_eq!(image.types.functions.len(), image.functions.len() * usize::from(names != ["legacy"]));
        assert_eq!(image.types.lines.len(), direct.types.lines.len());
        let again = together(&[("again", once.clone())], Roots::Exported);
        assert!(again == once, "{names:?}: linked again, the object is another one");
    }
}

#[test]
fn lines_and_types_follow_what_was_pruned() {
    let parts = fixtures(&["one"]);
    let pruned = together(&parts, Roots::Named(vec!["second".into()]));
    let image = link(&[("pruned", pruned)]).unwrap();
    let names: Vec<&str> = image.functions.iter().map(|function| function.name.as_str()).collect();
    assert_eq!(names, ["other", "scaled", "second"]);
    check_references(&image);
    for name in names {
        let line = image.line_at(function(&image, name).address).unwrap();
        assert!(String::from_utf8_lossy(line.text).contains(name), "{name}: {line:?}");
    }
}

#[test]
fn a_file_may_have_the_name_of_a_map() {
    let source = "#include \"bpf.h\"\n\
                  struct { int (*type)[2]; int (*max_entries)[1]; int *key; long *value; } counts SEC(\".maps\");\n\
                  SEC(\"xdp\") int prog(void *context) { return bpf_map_lookup_elem(&counts, context) != 0; }\n";
    let Some(mut object) = compile("clang-22", &["--target=bpf", "-O2", "-g"], "c", source) else { return };
    let (file, map) = (b"\0input.c\0", b"\0counts\0\0");
    let at = object.windows(file.len()).rposition(|bytes| bytes == file).expect("the symbol of the file");
    object[at..at + map.len()].copy_from_slice(map);
    let whole = together(&[("a.o", object)], Roots::Exported);
    let image = link(&[("whole.o", whole)]).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(image.maps.iter().map(|map| (map.name.as_str(), map.value_size)).collect::<Vec<_>>(), [("counts", 8)]);
}

#[test]
fn names_of_the_kernel_stay_open() {
    let once = together(&fixtures(&["kernel"]), Roots::Exported);
    let kconfig =
        Kconfig::parse("CONFIG_HZ=100\nCONFIG_BPF=y\nCONFIG_TUN=n\nCONFIG_HOSTNAME=\"x\"\n").with_version(6, 1, 0);
    let options = BpfOptions { kconfig };
    let image = link_with(&[("once", once)], &options).unwrap();
    check_references(&image);
    let direct = link_with(&fixtures(&["kernel"]), &options).unwrap();
    let names = |image: &BpfImage| image.externs.iter().map(|name| (name.name.clone(), name.kind)).collect::<Vec<_>>();
    assert_eq!(names(&image), names(&direct));
    assert_eq!(image.externs.len(), 10);
}
