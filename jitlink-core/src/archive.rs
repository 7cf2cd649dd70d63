//! Archives.
#![allow(missing_docs)]
use crate::error::LinkError;
pub struct Archive<'a> {
    members: Vec<Member<'a>>,
}
pub struct Member<'a> {
    name: String,
    data: MemberData<'a>,
}
#[derive(Clone, Copy)]
pub enum MemberData<'a> {
    Inline(&'a [u8]),
    External(&'a std::path::Path),
}
impl<'a> Member<'a> {
    pub fn name(&self) -> &str {
        &self.name
    }
    pub fn data(&self) -> MemberData<'a> {
        self.data
    }
}
impl<'a> Archive<'a> {
    pub fn recognize(_b: &[u8]) -> bool {
        false
    }
    pub fn parse(_n: &str, _b: &'a [u8]) -> Result<Archive<'a>, LinkError> {
        Ok(Archive { members: vec![] })
    }
    pub fn members(&self) -> &[Member<'a>] {
        &self.members
    }
    pub fn index(&self) -> Option<impl Iterator<Item = (&'a [u8], usize)>> {
        None::<std::iter::Empty<_>>
    }
}
