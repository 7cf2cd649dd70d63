//! What names of a module mean to an update.

use super::Baseline;
use crate::addr::Addr;
use crate::arch::Target;
use crate::error::LinkError;
use crate::graph::{Linkage, Name};
use crate::link::resolver::{Definition, Existing, ImportedName, Resolver};

/// Hides the module's own names from what looks for published definitions: the tracker decides about those.
pub(super) struct ModuleResolver<'r> {
    pub(super) baseline: &'r Baseline,
    pub(super) outside: &'r dyn Resolver,
}

impl Resolver for ModuleResolver<'_> {
    fn begin(&self, target: &Target) {
        self.outside.begin(target);
    }

    fn resolve(&self, names: &[&[u8]]) -> Result<Vec<Option<Definition>>, LinkError> {
        self.outside.resolve(names)
    }

    fn resolve_imports(&self, imports: &[ImportedName<'_>]) -> Result<Vec<Option<Definition>>, LinkError> {
        self.outside.resolve_imports(imports)
    }

    fn supplies_objects(&self) -> bool {
        self.outside.supplies_objects()
    }

    fn existing(&self, name: &Name<'_>, linkage: Linkage) -> Option<Existing> {
        if self.baseline.name(name.bytes()).is_some() { None } else { self.outside.existing(name, linkage) }
    }

    fn unique(&self, names: &[&[u8]]) -> Result<Vec<Option<Addr>>, LinkError> {
        let mut found = self.outside.unique(names)?;
        for (found, name) in found.iter_mut().zip(names) {
            if self.baseline.name(name).is_some() {
                *found = None;
            }
        }
        Ok(found)
    }
}
