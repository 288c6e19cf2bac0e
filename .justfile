# What a developer types; `just` alone lists it. Each line is a plain command, for whoever has no `just`.

set shell := ["bash", "-euo", "pipefail", "-c"]

# list the recipes
default:
    @just --list

# under a minute once it is built: format, lints, the offline tests, the API documentation
check: fmt lint test doc

# the code as rustfmt and Terraform write it
fmt:
    cargo fmt --check
    terraform fmt -check -recursive terraform

# clippy on everything, warnings are errors
lint:
    cargo clippy --locked --all-targets --quiet -- -D warnings

# unit tests and the sandbox: no network, no AWS account
test *filter:
    cargo test --locked --quiet --lib --test it {{ filter }}

# the API documentation, warnings are errors
doc:
    RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --quiet

# real servers on loopback; see tests/real/README.md
real *filter:
    cargo test --locked --test real {{ filter }}

# terraform/ and jitsi-config/ with the real programs
stack *filter:
    tests/stack/run {{ filter }}

# new snapshots: look at each before it is committed
snapshots:
    INSTA_UPDATE=always cargo test --locked --test it

# ratios, measured in one run
bench *filter:
    cargo bench --locked {{ filter }}

# licences, sources, duplicates and unused dependencies
dependencies:
    cargo deny check
    cargo shear

# all that must hold before a change lands
full:
    .ci/run
