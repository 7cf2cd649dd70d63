//! Looks for unwinders in the objects of this process.
//!
//! Each object is asked for itself, by its handle: where two have functions of one name, or a library was loaded for its user alone
//! (`RTLD_LOCAL`), the process's common names show one of them or none.

use super::gcc::{Gcc, Register};
use super::llvm::{Llvm, Section};
use super::nongnu::{self, Cache, Change, Flush, Search, Tables};
use super::registry::{Registry, Unwinder};
use crate::addr::Addr;
use crate::process::{objects, symbols};
use std::collections::HashSet;
use std::ffi::{CStr, CString, c_void};
use std::mem::transmute;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

/// What was looked at.
#[derive(Default)]
struct Seen {
    /// How many objects the loader had loaded, and unloaded.
    changes: Option<(u64, u64)>,
    objects: HashSet<(u64, CString)>,
}

/// Adds the unwinders that are in objects which were not seen before.
pub(super) fn look(registry: &Registry) {
    static SEEN: Mutex<Option<Seen>> = Mutex::new(None);
    let changes = Some(objects::changes());
    let mut seen = {
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.as_ref().is_some_and(|seen| seen.changes == changes) {
            return;
        }
        // Should another thread look meanwhile, it looks at all of them: what is found twice is added once.
        seen.take().unwrap_or_default()
    };
    let mut present = HashSet::new();
    objects::each(&mut |object| {
        let has_code = object
            .headers
            .iter()
            .any(|header| (header.p_type, header.p_flags & libc::PF_X) == (libc::PT_LOAD, libc::PF_X));
        if has_code && !object.info.dlpi_name.is_null() {
            // SAFETY: the loader's names are C strings.
            let name = unsafe { CStr::from_ptr(object.info.dlpi_name) };
            present.insert((objects::wide(object.info.dlpi_addr), name.to_owned()));
        }
        ControlFlow::Continue(())
    });
    for (_, name) in present.difference(&seen.objects) {
        look_into(name, registry);
    }
    (seen.changes, seen.objects) = (changes, present);
    *SEEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
}

/// Adds what an object has, and what those have that it depends on.
fn look_into(name: &CStr, registry: &Registry) {
    // The program has no name.
    let path = if name.is_empty() { std::ptr::null() } else { name.as_ptr() };
    // SAFETY: loads nothing: the object is there, or else this fails.
    let object = unsafe { libc::dlopen(path, libc::RTLD_NOW | libc::RTLD_NOLOAD) };
    if object.is_null() {
        return;
    }
    let found = unwinders(object);
    if found.is_empty() {
        // SAFETY: the handle was opened above, and nothing of it is used.
        unsafe { libc::dlclose(object) };
    }
    // Else the handle stays open, so that what was registered there can be taken back at any time.
    found.into_iter().for_each(|unwinder| registry.add(unwinder));
}

/// The unwinders that an object shows. The functions of each are of one library.
fn unwinders(object: *mut c_void) -> Vec<Box<dyn Unwinder>> {
    let find = |name: &CStr| symbols::find_in(object, name).filter(|address| address.0 != 0);
    let together = |names: [&CStr; 2]| {
        let [first, second] = names.map(find);
        let (first, second) = (first?, second?);
        (library_of(first) == library_of(second)).then_some([first.0 as usize, second.0 as usize])
    };
    let mut found: Vec<Box<dyn Unwinder>> = Vec::new();
    if let Some(functions) = together([c"__register_frame", c"__deregister_frame"]) {
        // SAFETY: functions of these names have this type in all libraries.
        let [register, deregister] = functions.map(|address| unsafe { transmute::<usize, Register>(address) });
        if together([c"__register_frame", c"__unw_add_dynamic_fde"]).is_some() {
            let sections = together([c"__unw_add_dynamic_eh_frame_section", c"__unw_remove_dynamic_eh_frame_section"]);
            // SAFETY: functions of these names, which are LLVM's alone, have this type.
            let sections = sections.map(|pair| pair.map(|address| unsafe { transmute::<usize, Section>(address) }));
            found.push(Box::new(Llvm { register, deregister, sections: sections.map(|[add, remove]| (add, remove)) }));
        } else {
            found.push(Box::new(Gcc { register, deregister }));
        }
    }
    // The names of other functions say the machine; those that are for this process only have an L more.
    let machine = std::env::consts::ARCH;
    let name = |name: String| CString::new(name).unwrap_or_default();
    let search = find(&name(format!("_UL{machine}_dwarf_search_unwind_table")));
    let space = find(&name(format!("_UL{machine}_local_addr_space")));
    if let (Some(functions), Some(search), Some(space)) =
        (together([c"_U_dyn_register", c"_U_dyn_cancel"]), search, space)
    {
        // SAFETY: functions of these names, which are nongnu.org's libunwind's alone, have this type.
        let [register, cancel] = functions.map(|address| unsafe { transmute::<usize, Change>(address) });
        // SAFETY: as above; the variable of this name is a pointer.
        let has_offset = unsafe {
            let space = *std::ptr::with_exposed_provenance::<*mut c_void>(space.0 as usize);
            nongnu::has_offset(transmute::<usize, Search>(search.0 as usize), space)
        };
        match has_offset {
            Some(has_offset) => found.push(Box::new(Tables { register, cancel, has_offset })),
            None => tracing::debug!("nongnu.org's libunwind is of an unknown version: it sees no linked code"),
        }
    }
    let flush = name(format!("_U{machine}_flush_cache"));
    for space in [format!("_UL{machine}_local_addr_space"), format!("_U{machine}_local_addr_space")].map(name) {
        if let (Some(flush), Some(space)) = (find(&flush), find(&space)) {
            // SAFETY: the function of this name has this type.
            let flush = unsafe { transmute::<usize, Flush>(flush.0 as usize) };
            found.push(Box::new(Cache { flush, space: std::ptr::with_exposed_provenance(space.0 as usize) }));
        }
    }
    found
}

/// Where the library that holds an address is loaded.
fn library_of(address: Addr) -> Option<u64> {
    // SAFETY: an all-zero description is valid, and dladdr fills it or fails.
    unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        (libc::dladdr(address.0 as *const c_void, &mut info) != 0).then_some(info.dli_fbase as u64)
    }
}
