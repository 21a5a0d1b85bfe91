//! What a scan found: of several findings the gravest decides, in whatever order they are listed.

use gotong_policy::Reason;
use gotong_policy::moderation::{Category, Severity, Violation};

use crate::rules::{child_safety, finding, grave_finding};

/// What a category leads to, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    /// It fits no named category.
    Unnamed,
    /// A moderator looks.
    Held,
    /// A moderator must act.
    Blocked,
    /// The admins must know.
    Escalated,
}

/// What a finding of this category leads to.
#[must_use]
pub const fn gravity(category: Category) -> Gravity {
    match category {
        Category::ChildSafety => Gravity::Escalated,
        Category::Illegal | Category::Violence | Category::Hate | Category::Harassment => {
            Gravity::Blocked
        }
        Category::Misinformation | Category::Spam => Gravity::Held,
        Category::Other => Gravity::Unnamed,
    }
}

/// The finding that decides: by gravity, then by severity, then by the order of the rules' reasons.
#[must_use]
pub fn gravest(violations: &[Violation]) -> Option<&Violation> {
    violations.iter().max_by_key(|found| {
        (
            gravity(found.category),
            found.severity,
            precedence(found.category),
        )
    })
}

/// The worst severity of all findings, of whatever category.
#[must_use]
pub fn worst_severity(violations: &[Violation]) -> Option<Severity> {
    violations.iter().map(|found| found.severity).max()
}

/// The reason a finding of this category gives.
#[must_use]
pub const fn reason(category: Category) -> &'static Reason {
    match category {
        Category::ChildSafety => child_safety::child_safety_found,
        Category::Illegal => grave_finding::illegal_found,
        Category::Violence => grave_finding::violence_found,
        Category::Hate => grave_finding::hate_found,
        Category::Harassment => grave_finding::harassment_found,
        Category::Misinformation => finding::misinformation_found,
        Category::Spam => finding::spam_found,
        Category::Other => finding::other_found,
    }
}

/// Which of two findings of one gravity and one severity gives the reason: the higher.
const fn precedence(category: Category) -> u8 {
    match category {
        Category::ChildSafety | Category::Illegal | Category::Misinformation | Category::Other => 3,
        Category::Violence | Category::Spam => 2,
        Category::Hate => 1,
        Category::Harassment => 0,
    }
}
