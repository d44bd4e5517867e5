// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real children in real cages, as whatever user runs the tests, in every degree that the host offers.

mod attacks;
mod cage;
mod escape;
mod life;
