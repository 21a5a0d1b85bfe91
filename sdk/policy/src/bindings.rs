//! What wit-bindgen makes of the contract: types, traits and the ABI of every family.
//!
//! One `generate!` for all families, so that a shared word is one Rust type. Its own component type is
//! empty; a module gets that of its family's world from `export!`.

#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    reason = "generated code"
)]

wit_bindgen::generate!({
    inline: "
        package gotong:sdk;
        world families {
            export gotong:policy/types@1.1.0;
            export gotong:policy/role-matrix@1.1.0;
            export gotong:policy/gate@1.1.0;
            export gotong:policy/moderation@1.1.0;
            export gotong:policy/retention@1.1.0;
            export gotong:policy/edge-pod@1.1.0;
        }
    ",
    path: "../wit/1.1.0",
    world: "families",
    pub_export_macro: true,
    additional_derives: [PartialEq, Eq],
});

macro_rules! component_type {
    ($name:ident, $world:literal) => {
        pub const $name: [u8; include_bytes!(concat!(
            env!("OUT_DIR"),
            "/",
            $world,
            ".component-type"
        ))
        .len()] = *include_bytes!(concat!(env!("OUT_DIR"), "/", $world, ".component-type"));
    };
}

component_type!(ROLE_MATRIX, "role-matrix-policy");
component_type!(GATE, "gate-policy");
component_type!(MODERATION, "moderation-policy");
component_type!(RETENTION, "retention-policy");
component_type!(EDGE_POD, "edge-pod-policy");
