//! Attacks on whoever builds a crate: each is what the build script of a hostile crate would do.
//!
//! A package whose build script calls [`main`] does what its name stands for: `attacker` tries
//! everything in [`attacks::ALL`] and writes down what came of it, the others one thing each that
//! has to be a build script of its own, see [`alone`].

mod alone;
mod attacks;
mod kernel;
mod network;
mod plan;
mod processes;
mod runner;
mod sys;

use plan::Plan;

/// Does what the package is there for; to be called by its build script.
pub fn main() {
    println!("cargo::rerun-if-changed=plan");
    let plan = Plan::load();
    unsafe { sys::getppid_of_script() };
    match plan.package.as_str() {
        "attacker" => runner::run(&plan, attacks::ALL),
        _ => alone::run(&plan),
    }
}
