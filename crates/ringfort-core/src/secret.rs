// SPDX-License-Identifier: MIT OR Apache-2.0
//! A secret value that never prints and is wiped when it is dropped.
//!
//! In: a value that must not leak. Out: the value, only by [`Secret::expose`].
//!
//! **Invariant:** no `Display`, no `Serialize`; `Debug` shows `[secret]`; equality takes constant time.
//! It does not lock memory: that is `ringfort-secrets`.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A value that never prints and is zeroed on drop.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes a value into custody.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Shows the value. Each call is a place to review.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize + AsRef<[u8]>> Secret<T> {
    /// Compares in a time that depends only on the lengths.
    pub fn equals(&self, other: &[u8]) -> bool {
        self.0.as_ref().ct_eq(other).into()
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redact_debug_and_compare() {
        let secret = Secret::new(b"hunter2".to_vec());
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "[secret] Some([secret])");
        assert!(secret.equals(b"hunter2") && !secret.equals(b"hunter3") && !secret.equals(b"hunter"));
    }
}
