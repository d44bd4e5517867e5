// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses as programs lay them out, and connections with strangers in the way.

use super::*;
