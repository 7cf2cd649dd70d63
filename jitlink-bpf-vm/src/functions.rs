//! The host's functions that programs call: helpers by number, kernel functions by name.

use crate::address;
use crate::call::Call;
use crate::fault::Fault;
use hashbrown::HashMap;
use std::fmt;
use std::sync::Arc;

/// A function of the host. It gets at its arguments and the program's memory through the [`Call`], and returns what `r0` then holds.
pub type HostFunction = Arc<dyn Fn(&mut Call<'_, '_>) -> Result<u64, Fault> + Send + Sync>;

/// The functions that a machine has.
#[derive(Clone, Default)]
pub struct Functions {
    /// By number.
    helpers: Vec<Option<HostFunction>>,
    named: Vec<(String, HostFunction)>,
    indices: HashMap<String, u32>,
}

impl Functions {
    /// None.
    pub fn new() -> Functions {
        Functions::default()
    }

    /// Adds the helper of a number below 2^16, in place of what had the number.
    ///
    /// # Panics
    /// With a larger number.
    pub fn add_helper<F>(&mut self, number: u32, function: F)
    where
        F: Fn(&mut Call<'_, '_>) -> Result<u64, Fault> + Send + Sync + 'static,
    {
        assert!(number < 1 << 16, "numbers of helpers are below 65536, unlike {number}");
        let index = number as usize;
        if self.helpers.len() <= index {
            self.helpers.resize(index + 1, None);
        }
        self.helpers[index] = Some(Arc::new(function));
    }

    /// Adds a kernel function, in place of what had the name.
    pub fn add_kernel_function<F>(&mut self, name: &str, function: F)
    where
        F: Fn(&mut Call<'_, '_>) -> Result<u64, Fault> + Send + Sync + 'static,
    {
        let function: HostFunction = Arc::new(function);
        match self.indices.get(name) {
            Some(index) => self.named[*index as usize].1 = function,
            None => {
                self.indices.insert(name.into(), self.named.len() as u32);
                self.named.push((name.into(), function));
            }
        }
    }

    /// Whether there is a helper of a number.
    pub fn has_helper(&self, number: u32) -> bool {
        self.helper(number).is_some()
    }

    /// The address that stands for a kernel function in programs.
    pub fn address(&self, name: &str) -> Option<u64> {
        self.index(name).map(|index| address::at(address::HOST_REGION, index << 3))
    }

    pub(crate) fn index(&self, name: &str) -> Option<u32> {
        self.indices.get(name).copied()
    }

    #[inline]
    pub(crate) fn helper(&self, number: u32) -> Option<&HostFunction> {
        self.helpers.get(number as usize)?.as_ref()
    }

    pub(crate) fn named(&self, index: u32) -> Option<&HostFunction> {
        self.named.get(index as usize).map(|(_, function)| function)
    }

    /// The index of the function at an address.
    pub(crate) fn index_at(&self, address: u64) -> Option<u32> {
        let index = address::offset(address) >> 3;
        let is_one = address::region(address) == address::HOST_REGION && address & 7 == 0;
        (is_one && (index as usize) < self.named.len()).then_some(index)
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = self.helpers.iter().enumerate().filter(|(_, helper)| helper.is_some()).map(|(number, _)| number);
        let names = self.named.iter().map(|(name, _)| name);
        f.debug_struct("Functions")
            .field("helpers", &numbers.collect::<Vec<_>>())
            .field("named", &names.collect::<Vec<_>>())
            .finish()
    }
}
