// SPDX-License-Identifier: MIT OR Apache-2.0
//! A project file only restricts.
