//! The program that libFuzzer drives. `make fuzz` builds it with the compiler's coverage switched on, and names the target
//! in the environment.

#![no_main]

use std::sync::LazyLock;

use logistics_fuzz::Target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    Target::of_name(&name).unwrap_or_else(|| panic!("FUZZ_TARGET={name}: there is no such target"))
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| TARGET.run(input));
