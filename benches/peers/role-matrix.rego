# The action matrix of policies/role-matrix, as Rego says it. What is the same for many rows is data
# (role-matrix.json); the else chains stop at the first answer. The words are those of the Rust policy.
package gotong.role_matrix

import rego.v1

default allow := false

allow if ruling.effect == "allow"

ruling := {"effect": "allow", "rule": "host_timer", "reason": "timer_applies"} if {
	input.role == "system"
	input.action == "transition_propose"
	input.trigger == "timer"
} else := {"effect": "deny", "rule": "host_timer", "reason": "system_only_applies_timers"} if {
	input.role == "system"
} else := {"effect": "deny", "rule": "visibility", "reason": "not_visible"} if {
	not visible
} else := {"effect": "deny", "rule": "anonymous", "reason": "anonymous_only_reads"} if {
	input.role == "anonymous"
	input.action != "entity_read"
} else := {"effect": "deny", "rule": "service", "reason": "not_for_services"} if {
	input.role == "service"
	not input.action in data.matrix.for_services
} else := {"effect": "allow", "rule": data.matrix.rows[input.action].rule, "reason": "relation_held"} if {
	holds_wanted
} else := {"effect": "deny", "rule": data.matrix.rows[input.action].rule, "reason": without_relation} if {
	data.matrix.rows[input.action]
} else := {"effect": "allow", "rule": "vote", "reason": "in_snapshot"} if {
	input.action == "transition_vote"
	was_in_circle
} else := {"effect": "deny", "rule": "vote", "reason": "not_in_snapshot"} if {
	input.action == "transition_vote"
} else := {"effect": "allow", "rule": "entity_read", "reason": "visible"} if {
	input.action == "entity_read"
} else := {"effect": "allow", "rule": input.action, "reason": "role_held"} if {
	input.role in data.matrix.roles[input.action]
} else := {"effect": "deny", "rule": input.action, "reason": "role_not_held"} if {
	data.matrix.roles[input.action]
} else := entity_create if {
	input.action == "entity_create"
} else := entity_edit if {
	input.action == "entity_edit"
} else := co_witness if {
	input.action == "co_witness"
} else := participate if {
	input.action == "participate"
} else := stand_as_verifikator if {
	input.action == "stand_as_verifikator"
} else := appoint if {
	input.action == "appoint"
} else := relation_end if {
	input.action == "relation_end"
} else := transition_emergency if {
	input.action == "transition_emergency"
} else := pic_nominate if {
	input.action == "pic_nominate"
} else := pic_accept if {
	input.action == "pic_accept"
} else := disbursement_approve if {
	input.action == "disbursement_approve"
} else := privacy_set if {
	input.action == "privacy_set"
} else := dispute if {
	input.action == "dispute"
}

visible if {
	input.privacy == "open"
} else if {
	input.action in data.matrix.outside_of_matters
} else if {
	input.role != "anonymous"
	input.privacy == "vault"
	count(input.relations) > 0
} else if {
	input.role != "anonymous"
	input.privacy != "vault"
	input.verified
}

# Loops stand in rules of their own: where a loop in a branch finds nothing, the virtual machine of regorus 0.10.1 leaves
# the whole `else` chain instead of trying the next branch.
holds_wanted if {
	some relation in input.relations
	relation in data.matrix.rows[input.action].wanted
}

was_in_circle if {
	some relation in input.snapshot
	relation in data.matrix.circle
}

other_side_approved if {
	some side in ["pic", "bendahara"]
	side in input.approvals
}

without_relation := "not_related" if {
	count(input.relations) == 0
} else := "relation_not_held"

# What the person in question holds.
subject := input.relations if {
	input.subject_is_actor
} else := input.subject

entity_create := {"effect": "allow", "rule": "entity_create", "reason": "verified"} if {
	input.verified
} else := {"effect": "deny", "rule": "entity_create", "reason": "not_verified"}

entity_edit := {"effect": "deny", "rule": "entity_edit", "reason": without_relation} if {
	not "author" in input.relations
} else := {"effect": "allow", "rule": "entity_edit", "reason": "within_edit_window"} if {
	input.seed_age_ms <= 900000
} else := {"effect": "deny", "rule": "entity_edit", "reason": "edit_window_over"}

co_witness := {"effect": "deny", "rule": "co_witness", "reason": "not_verified"} if {
	not input.verified
} else := {"effect": "deny", "rule": "co_witness", "reason": "already_saksi"} if {
	"saksi" in input.relations
} else := {"effect": "deny", "rule": "co_witness", "reason": "verifikator_stays_uninvolved"} if {
	"verifikator" in input.relations
} else := {"effect": "allow", "rule": "co_witness", "reason": "verified"}

participate := {"effect": "deny", "rule": "participate", "reason": "not_verified"} if {
	not input.verified
} else := {"effect": "deny", "rule": "participate", "reason": "already_participant"} if {
	"participant" in input.relations
} else := {"effect": "deny", "rule": "participate", "reason": "verifikator_stays_uninvolved"} if {
	"verifikator" in input.relations
} else := {"effect": "allow", "rule": "participate", "reason": "verified"}

stand_as_verifikator := {"effect": "deny", "rule": "stand_as_verifikator", "reason": "not_verified"} if {
	not input.verified
} else := {"effect": "deny", "rule": "stand_as_verifikator", "reason": "already_involved"} if {
	count(input.relations) > 0
} else := {"effect": "allow", "rule": "stand_as_verifikator", "reason": "uninvolved"}

appoints if {
	"pic" in input.relations
} else if {
	not input.has_pic
	"author" in input.relations
}

takes_part if {
	some relation in subject
	relation != "verifikator"
}

appoint := {"effect": "deny", "rule": "appoint", "reason": without_relation} if {
	not appoints
} else := {"effect": "deny", "rule": "appoint", "reason": "not_an_appointment"} if {
	not input.sought in [["bendahara"], ["humas"]]
} else := {"effect": "deny", "rule": "appoint", "reason": "subject_not_related"} if {
	not takes_part
} else := {"effect": "deny", "rule": "appoint", "reason": "already_held"} if {
	input.sought[0] in subject
} else := {"effect": "deny", "rule": "appoint", "reason": "pic_is_never_bendahara"} if {
	input.sought[0] == "bendahara"
	"pic" in subject
} else := {"effect": "allow", "rule": "appoint", "reason": "appointed"}

relation_end := {"effect": "deny", "rule": "relation_end", "reason": "not_ones_own"} if {
	not input.subject_is_actor
} else := {"effect": "deny", "rule": "relation_end", "reason": "not_one_relation"} if {
	count(input.sought) != 1
} else := {"effect": "deny", "rule": "relation_end", "reason": "relation_not_held"} if {
	not input.sought[0] in input.relations
} else := {"effect": "deny", "rule": "relation_end", "reason": "author_stays"} if {
	input.sought[0] == "author"
} else := {"effect": "deny", "rule": "relation_end", "reason": "pic_hands_over"} if {
	input.sought[0] == "pic"
} else := {"effect": "allow", "rule": "relation_end", "reason": "ended_by_oneself"}

transition_emergency := {
	"effect": "allow", "rule": "transition_emergency", "reason": "moderator",
	"obligations": ["audit_emergency"],
} if {
	input.role == "moderator"
} else := {
	"effect": "allow", "rule": "transition_emergency", "reason": "relation_held",
	"obligations": ["audit_emergency"],
} if {
	"pic" in input.relations
} else := {"effect": "deny", "rule": "transition_emergency", "reason": without_relation}

nominates if {
	"author" in input.relations
} else if {
	"participant" in input.relations
}

pic_nominate := {"effect": "deny", "rule": "pic_nominate", "reason": without_relation} if {
	not nominates
} else := {"effect": "deny", "rule": "pic_nominate", "reason": "pic_already_there"} if {
	input.subject_is_actor
	input.has_pic
} else := {"effect": "deny", "rule": "pic_nominate", "reason": "only_oneself"} if {
	not input.subject_is_actor
	not "author" in input.relations
} else := {"effect": "deny", "rule": "pic_nominate", "reason": "subject_not_related"} if {
	count(subject) == 0
} else := {"effect": "deny", "rule": "pic_nominate", "reason": "already_held"} if {
	"pic" in subject
} else := {"effect": "deny", "rule": "pic_nominate", "reason": "pic_is_never_bendahara"} if {
	"bendahara" in subject
} else := {"effect": "deny", "rule": "pic_nominate", "reason": "verifikator_stays_uninvolved"} if {
	"verifikator" in subject
} else := {
	"effect": "allow", "rule": "pic_nominate", "reason": "offered_oneself",
	"obligations": ["accept_at_once"],
} if {
	input.subject_is_actor
} else := {"effect": "allow", "rule": "pic_nominate", "reason": "nominated"}

pic_accept := {"effect": "deny", "rule": "pic_accept", "reason": "not_nominated"} if {
	input.nomination != "actor"
} else := {"effect": "deny", "rule": "pic_accept", "reason": "pic_is_never_bendahara"} if {
	"bendahara" in input.relations
} else := {"effect": "deny", "rule": "pic_accept", "reason": "verifikator_stays_uninvolved"} if {
	"verifikator" in input.relations
} else := {"effect": "deny", "rule": "pic_accept", "reason": "no_longer_takes_part"} if {
	count(input.relations) == 0
} else := {"effect": "allow", "rule": "pic_accept", "reason": "nominee"}

# The sides of a disbursement that the actor stands on.
sides := [side | some side in ["pic", "bendahara"]; side in input.relations]

disbursement_approve := {"effect": "deny", "rule": "disbursement_approve", "reason": without_relation} if {
	count(sides) == 0
} else := {"effect": "deny", "rule": "disbursement_approve", "reason": "pic_is_never_bendahara"} if {
	count(sides) == 2
} else := {"effect": "deny", "rule": "disbursement_approve", "reason": "already_approved"} if {
	sides[0] in input.approvals
} else := {"effect": "allow", "rule": "disbursement_approve", "reason": "both_approved"} if {
	other_side_approved
} else := {
	"effect": "allow", "rule": "disbursement_approve", "reason": "first_approval",
	"obligations": ["await_second_approval"],
}

privacy_setter if {
	"author" in input.relations
} else if {
	"pic" in input.relations
}

privacy_set := {"effect": "deny", "rule": "privacy_set", "reason": without_relation} if {
	not privacy_setter
} else := {"effect": "deny", "rule": "privacy_set", "reason": "l3_is_never_reversed"} if {
	input.privacy == "l3"
} else := {"effect": "allow", "rule": "privacy_set", "reason": "relation_held"}

dispute := {"effect": "deny", "rule": "dispute", "reason": "not_related"} if {
	count(input.relations) == 0
} else := {"effect": "allow", "rule": "dispute", "reason": "relation_held"}
