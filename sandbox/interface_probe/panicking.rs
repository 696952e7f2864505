//! Uses a macro that panics: its message has to arrive.

extern crate buildperm_probe_macros as macros;

macros::panics! { buildperm_probe_panics "ä" }
