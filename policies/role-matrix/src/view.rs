//! What a viewer sees: whether the entity exists for them, and which of its fields.

use gotong_policy::role_matrix::{Fields, Projection, Standing, ViewingObligation};
use gotong_policy::types::{PrivacyLevel, Relations, TokenRole};

use crate::rules::{project_l1, project_l2, project_l3, project_open, project_vault, visibility};

/// Whether the entity exists for this viewer.
#[must_use]
pub fn visible(here: &Standing) -> bool {
    match here.privacy {
        PrivacyLevel::Open => true,
        _ if here.role == TokenRole::Anonymous => false,
        PrivacyLevel::L1 | PrivacyLevel::L2 | PrivacyLevel::L3 => here.verified,
        PrivacyLevel::Vault => !here.relations.is_empty(),
    }
}

/// The fields this viewer is shown.
#[must_use]
pub fn project(here: &Standing) -> Projection {
    if !visible(here) {
        return Projection::hidden(visibility::not_visible);
    }
    let related = !here.relations.is_empty();
    match here.privacy {
        PrivacyLevel::Open => Projection::of(Fields::all(), project_open::open, &[]),
        PrivacyLevel::L1 => Projection::of(Fields::all(), project_l1::verified_member, &[]),
        PrivacyLevel::L2 if related => Projection::of(
            all_but_author_unless(here, Relations::AUTHOR | Relations::PIC),
            project_l2::related,
            &[],
        ),
        PrivacyLevel::L2 => Projection::of(
            Fields::TITLE | Fields::SCOPE | Fields::TIMELINE | Fields::MEDIA,
            project_l2::access_on_request,
            &[
                ViewingObligation::BlurMedia,
                ViewingObligation::OfferRequestAccess,
                ViewingObligation::KeepOutOfSearch,
            ],
        ),
        PrivacyLevel::L3 if related => Projection::of(
            all_but_author_unless(here, Relations::AUTHOR),
            project_l3::related,
            &[],
        ),
        PrivacyLevel::L3 => Projection::of(
            Fields::SCOPE | Fields::TIMELINE,
            project_l3::content_hidden,
            &[ViewingObligation::KeepOutOfSearch],
        ),
        PrivacyLevel::Vault => Projection::of(Fields::all(), project_vault::related, &[]),
    }
}

fn all_but_author_unless(here: &Standing, knows_the_author: Relations) -> Fields {
    if here.relations.intersects(knows_the_author) {
        Fields::all()
    } else {
        Fields::all() - Fields::AUTHOR
    }
}
