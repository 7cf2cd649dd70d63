//! Links objects as rules ask for, and evaluates the rules.

use crate::report::{LinkOutcome, Outcome, Report};
use crate::rules::{Expected, LinkRules, Rules};
use crate::setup::Setup;
use crate::view::View;
use jitlink_core::link::{Linked, NoSymbols, link};
use jitlink_core::{Input, LinkError, LinkErrors, Registry};

/// Checks rules against what the linker makes of objects.
#[derive(Debug)]
pub struct Checker<'c> {
    registry: &'c Registry,
    inputs: &'c [Input],
    setup: Setup,
}

impl<'c> Checker<'c> {
    /// For these objects and archives, with the backends of `registry`.
    pub fn new(registry: &'c Registry, inputs: &'c [Input]) -> Checker<'c> {
        Checker { registry, inputs, setup: Setup::default() }
    }

    /// This checker with other addresses and names. The options of the rules file are added to them.
    pub fn setup(mut self, setup: Setup) -> Checker<'c> {
        self.setup = setup;
        self
    }

    /// Links the objects once for each link of the rules file, and evaluates its rules. Nothing of them runs.
    pub fn check(&self, rules: &Rules) -> Report {
        Report { links: rules.links.iter().map(|link| self.check_link(rules, link)).collect() }
    }

    fn check_link(&self, rules: &Rules, expected: &LinkRules) -> LinkOutcome {
        let file = &rules.source.file;
        let place = match &expected.start {
            Some(start) => format!("{file}:{}", start.place(0).0),
            None => file.clone(),
        };
        let setup = self.setup.with(&expected.changes);
        match self.link(&setup).map(|linked| with_aliases(linked, &setup)) {
            Ok(linked) => LinkOutcome {
                place,
                rules: evaluated(rules, expected, &linked),
                unexpected: Vec::new(),
                statistics: Some(linked.statistics),
            },
            Err(errors) => {
                let matched = |error: &LinkError| expected.errors.iter().any(|rule| rule.matches(error));
                LinkOutcome {
                    place,
                    rules: refused(rules, expected, &errors),
                    unexpected: errors.iter().filter(|error| !matched(error)).cloned().collect(),
                    statistics: None,
                }
            }
        }
    }

    fn link(&self, setup: &Setup) -> Result<Linked, LinkErrors> {
        let executor = setup.executor()?;
        link(self.registry, &executor, self.inputs, &NoSymbols, &setup.options())
    }
}

/// The map names what is defined under its own name only.
fn with_aliases(mut linked: Linked, setup: &Setup) -> Linked {
    if let Some(map) = &mut linked.map {
        let addresses = setup.aliases.iter().filter_map(|(new, _)| Some((new, linked.exports.get(new)?.address)));
        map.absolute.extend(addresses.map(|(name, address)| (name.clone(), address)));
    }
    linked
}

/// The rules of a link that succeeded.
fn evaluated(rules: &Rules, expected: &LinkRules, linked: &Linked) -> Vec<Outcome> {
    let nothing = jitlink_core::link::LinkMap::default();
    let map = linked.map.as_ref().unwrap_or(&nothing);
    let view = View { map, endian: linked.target.endian, memory: linked };
    let conditions = expected.conditions.iter().map(|condition| condition.evaluate(&rules.source, &view));
    let errors = expected.errors.iter().map(|rule| {
        let reason = "the link was to fail with this, but it succeeded".to_string();
        rules.outcome(&rule.marked, Expected::failure(reason))
    });
    conditions.chain(errors).collect()
}

/// The rules of a link that failed.
fn refused(rules: &Rules, expected: &LinkRules, errors: &LinkErrors) -> Vec<Outcome> {
    let conditions = expected.conditions.iter().map(|condition| condition.skip(&rules.source));
    let expected = expected.errors.iter().map(|rule| {
        let verdict = match errors.iter().any(|error| rule.matches(error)) {
            true => crate::report::Verdict::Passed,
            false => Expected::failure("the link failed, but with no such error".into()),
        };
        rules.outcome(&rule.marked, verdict)
    });
    conditions.chain(expected).collect()
}
