//! A busy host: processes that spin, one a processor, while something is measured.

use std::io::Read as _;

use crate::BenchFailure;
use crate::child::Child;

pub const ROLE: &str = "spin";

/// Spinning processes: as many as the machine that the figures are judged on has processors.
pub const PROCESSES: usize = 2;

/// They spin until this is dropped.
pub struct Busy(#[expect(dead_code, reason = "held, not read")] Vec<Child>);

impl Busy {
    pub fn begin() -> Result<Self, BenchFailure> {
        Ok(Self((0..PROCESSES).map(|_| Child::start(ROLE, &())).collect::<Result<_, _>>()?))
    }
}

/// Spins until the parent closes our standard input.
pub fn run() -> Result<(), BenchFailure> {
    std::thread::spawn(|| {
        let mut number = 0_u64;
        loop {
            number = std::hint::black_box(
                number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1),
            );
        }
    });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
