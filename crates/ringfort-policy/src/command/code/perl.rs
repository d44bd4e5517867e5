pub(super) fn read(_code: &[u8], _finder: &mut super::Finder) -> Option<()> { None }
pub(super) fn is_harmless_module(_name: &[u8]) -> bool { false }
