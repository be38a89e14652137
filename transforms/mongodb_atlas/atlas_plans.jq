# What becomes of the families and activities of MongoDB Atlas' event types in OCSF. Constants all of it:
# a plan is found by its name ("user.assign_roles") and has
#
#   kind      which objects the class wants, see `atlas_ocsf`
#   head      class, activity and status, as they stand in the output
#   …         what its kind needs besides
#
# | family                                   | 1.9.0              | 1.8.0                                   |
# |------------------------------------------|--------------------|-----------------------------------------|
# | user, api_key, service_account, oauth,   | 3007               | 3001; 3005 if roles change and the      |
# | database_user                            |                    | event says which                        |
# | team                                     | 3006               | 3006                                    |
# | database_role                            | 3008               | 3004, entity type 99                    |
# | organization                             | 3004, type 4       | 3004                                    |
# | access_list                              | 3004, type 7       | 3004                                    |
# | settings and policies of all kinds       | 3004, type 5 or 99 | 3004                                    |
# | data_access                              | 6005               | 6005                                    |
# | alert, billing                           | 0                  | 0                                       |
# | clusters and all else                    | 6003               | 6003                                    |

import "ocsf" as ocsf;
import "atlas_event_types" as event_types;


# ---- users of every sort ----

def changed(tables; new; old):
  {
    kind: "user",
    head: (ocsf::by_version(ocsf::head(tables; 3001; old); ocsf::head(tables; 3007; new)) + ocsf::success)
  };

# Roles were given or taken. User Access wants to know which, so it is the head for events that say it.
def roles_changed(tables; new; old):
  changed(tables; new; 99)
  + ocsf::by_version({ head_with_roles: (ocsf::head(tables; 3005; old) + ocsf::success) }; {});

# A key, or an account of a program, comes with its credentials; so there are two ways to create and delete.
def user_plans(tables): changed(tables; 99; 99) as $other | {
  create: changed(tables; 1; 1),
  create_key: changed(tables; 18; 1),
  update: changed(tables; 2; 99),
  delete: changed(tables; 3; 6),
  delete_key: changed(tables; 19; 6),
  enable: changed(tables; 4; 2),
  disable: changed(tables; 5; 5),
  assign_roles: roles_changed(tables; 16; 1),
  remove_roles: roles_changed(tables; 17; 2),
  grant: changed(tables; 14; 99),
  revoke: changed(tables; 15; 99),
  other: $other,
  failed: { kind: "user", head: ($other.head + ocsf::failure) }
};

# `type` is what is known of the user: `type_id` and `type`.
def users(family; plans; type; create; delete): type as $type | {
  "\(family).create": (create + $type),
  "\(family).update": (plans.update + $type),
  "\(family).delete": (delete + $type),
  "\(family).enable": (plans.enable + $type),
  "\(family).disable": (plans.disable + $type),
  "\(family).assign_roles": (plans.assign_roles + $type),
  "\(family).remove_roles": (plans.remove_roles + $type),
  "\(family).add_credential": (ocsf::by_version(plans.update; plans.create_key) + $type),
  "\(family).remove_credential": (ocsf::by_version(plans.update; plans.delete_key) + $type),
  "\(family).grant": (plans.grant + $type),
  "\(family).revoke": (plans.revoke + $type),
  "\(family).failed": (plans.failed + $type),
  "\(family).other": (plans.other + $type)
};

def all_users(tables): user_plans(tables) as $plans | { user: ocsf::user_type(4) } as $service |
  users("user"; $plans; { user: ocsf::user_type(1) }; $plans.create; $plans.delete)
  + users("api_key"; $plans; $service; $plans.create_key; $plans.delete_key)
  + users("service_account"; $plans; $service; $plans.create_key; $plans.delete_key)
  + users("oauth"; $plans; $service; $plans.create_key; $plans.delete_key)
  + users(
      "database_user"; $plans; { user: { type_id: 99, type: "Database User" } };
      $plans.create; $plans.delete
    );


# ---- teams ----

def team(tables; new; old):
  { kind: "group", head: (ocsf::head(tables; 3006; ocsf::by_version(old; new)) + ocsf::success) };

def teams(tables): {
  "team.create": team(tables; 6; 6),
  "team.update": team(tables; 9; 99),
  "team.delete": team(tables; 5; 5),
  "team.add_user": team(tables; 3; 3),
  "team.remove_user": team(tables; 4; 4),
  "team.assign_roles": team(tables; 12; 1),
  "team.remove_roles": team(tables; 13; 2),
  "team.other": team(tables; 99; 99)
};


# ---- roles of the databases ----

def database_role(tables; new; old):
  ocsf::by_version(
    {
      kind: "entity",
      head: (ocsf::head(tables; 3004; old) + ocsf::success),
      entity: { type_id: 99, type: "Database Role", name: "Database role" }
    };
    { kind: "role", head: (ocsf::head(tables; 3008; new) + ocsf::success) }
  );

def database_roles(tables): {
  "database_role.create": database_role(tables; 1; 1),
  "database_role.update": database_role(tables; 2; 3),
  "database_role.delete": database_role(tables; 3; 4),
  "database_role.other": database_role(tables; 99; 99)
};


# ---- entities: settings, policies, networks, the organisation ----

def entity_head(tables; activity): { head: (ocsf::head(tables; 3004; activity) + ocsf::success) };
def entity_heads(tables): entity_head(tables; 99) as $other | {
  create: entity_head(tables; 1),
  read: entity_head(tables; 2),
  update: entity_head(tables; 3),
  delete: entity_head(tables; 4),
  move: entity_head(tables; 5),
  enable: entity_head(tables; 8),
  disable: entity_head(tables; 9),
  activate: entity_head(tables; 10),
  suspend: entity_head(tables; 12),
  other: $other,
  failed: { head: ($other.head + ocsf::failure) }
};

# `entity` is what all events of the family have in common; its name stands where the event has none.
def entities(family; heads; kind; entity): { kind: kind, entity: entity } as $plan | {
  "\(family).create": ($plan + heads.create),
  "\(family).read": ($plan + heads.read),
  "\(family).update": ($plan + heads.update),
  "\(family).delete": ($plan + heads.delete),
  "\(family).move": ($plan + heads.move),
  "\(family).enable": ($plan + heads.enable),
  "\(family).disable": ($plan + heads.disable),
  "\(family).activate": ($plan + heads.activate),
  "\(family).suspend": ($plan + heads.suspend),
  "\(family).other": ($plan + heads.other),
  "\(family).failed": ($plan + heads.failed)
};

def policy(family; heads; name): entities(family; heads; "entity"; { type_id: 5, type: "Policy", name: name });

def all_entities(tables): entity_heads(tables) as $heads |
  entities("organization"; $heads; "organization"; { type_id: 4, type: "Organization" })
  + entities("project"; $heads; "project"; { type_id: 99, type: "Project" })
  + entities("access_list"; $heads; "entity"; { type_id: 7, type: "Network Zone", name: "IP access list" })
  + entities(
      "identity_provider"; $heads; "entity";
      { type_id: 99, type: "Identity Provider", name: "Identity provider" }
    )
  + entities("domain"; $heads; "entity"; { type_id: 99, type: "Domain", name: "Domain of the federation" })
  + policy("federation"; $heads; "Federation settings")
  + policy("role_mapping"; $heads; "Role mapping")
  + policy("membership"; $heads; "Restriction of membership")
  + policy("two_factor"; $heads; "Multi-factor authentication")
  + policy("employee_access"; $heads; "Access of MongoDB employees")
  + policy("security_settings"; $heads; "User security settings")
  + policy("settings"; $heads; "Organization settings")
  + policy("encryption"; $heads; "Encryption at rest")
  + policy("auditing"; $heads; "Database auditing")
  + policy("log_export"; $heads; "Log export")
  + policy("resource_policy"; $heads; "Resource policy")
  + policy("alert_config"; $heads; "Alert configuration")
  + policy("data_explorer"; $heads; "Data Explorer");


# ---- data ----

# Heads by what is done to the data; `other` for words that are not known.
def operations(tables): {
  read: ocsf::head(tables; 6005; 1),
  update: ocsf::head(tables; 6005; 2),
  connect: ocsf::head(tables; 6005; 3),
  query: ocsf::head(tables; 6005; 4),
  write: ocsf::head(tables; 6005; 5),
  create: ocsf::head(tables; 6005; 6),
  delete: ocsf::head(tables; 6005; 7),
  list: ocsf::head(tables; 6005; 8),
  other: ocsf::head(tables; 6005; 99)
};

# Types that name what is done have a head. Of the others `opType` tells it: they have `heads`.
def data_access(tables): operations(tables) as $heads | {
  "data_access.read": { kind: "data", head: $heads.read, status: ocsf::success },
  "data_access.connect": { kind: "data", head: $heads.connect, status: ocsf::success },
  "data_access.query": { kind: "data", head: $heads.query, status: ocsf::success },
  "data_access.create": { kind: "data", head: $heads.create, status: ocsf::success },
  "data_access.list": { kind: "data", head: $heads.list, status: ocsf::success },
  "data_access.operation": { kind: "data", heads: $heads, status: ocsf::success },
  "data_access.other": { kind: "data", heads: $heads, status: ocsf::success },
  "data_access.attempt": { kind: "data", heads: $heads, status: { status_id: 0, status: "Unknown" } },
  "data_access.failed": { kind: "data", heads: $heads, status: ocsf::failure }
};

# What the first word of an `opType` does.
def operation_words: {
  insert: "write", bulk: "write", write: "write", import: "write", save: "write",
  find: "read", read: "read", get: "read", count: "read", sample: "read", view: "read", export: "read",
  aggregate: "query", query: "query", distinct: "query", search: "query", explain: "query", run: "query",
  update: "update", replace: "update", modify: "update", rename: "update", alter: "update",
  create: "create", clone: "create", copy: "create",
  delete: "delete", remove: "delete", drop: "delete", truncate: "delete",
  list: "list", show: "list",
  connect: "connect"
};


# ---- alerts, billing, and the API ----

# A base event says nothing of its own success; only a payment that failed does.
def notices(tables): { kind: "base", head: ocsf::head(tables; 0; 99) } as $notice | {
  "alert.event": $notice,
  "alert.acknowledge": { kind: "api", head: (ocsf::head(tables; 6003; 3) + ocsf::success) },
  "billing.event": $notice,
  "billing.failed": { kind: "base", head: ($notice.head + ocsf::failure) },
  "unknown": $notice,
  "nameless": { kind: "base", head: ocsf::head(tables; 0; 0) }
};

def call(tables; activity): { kind: "api", head: (ocsf::head(tables; 6003; activity) + ocsf::success) };
def call_plans(tables): call(tables; 99) as $other | {
  create: call(tables; 1),
  read: call(tables; 2),
  update: call(tables; 3),
  delete: call(tables; 4),
  other: $other,
  failed: { kind: "api", head: ($other.head + ocsf::failure) }
};

def calls(family; plans): {
  "\(family).create": plans.create,
  "\(family).read": plans.read,
  "\(family).update": plans.update,
  "\(family).delete": plans.delete,
  "\(family).other": plans.other,
  "\(family).failed": plans.failed,
  "\(family).add_credential": plans.create,
  "\(family).remove_credential": plans.delete
};

def all_calls(tables): call_plans(tables) as $plans |
  calls("cluster"; $plans) + calls("scaling"; $plans) + calls("automation"; $plans)
  + calls("maintenance"; $plans) + calls("serverless"; $plans) + calls("backup"; $plans)
  + calls("index"; $plans) + calls("search"; $plans) + calls("data_federation"; $plans)
  + calls("stream"; $plans) + calls("charts"; $plans) + calls("network"; $plans)
  + calls("integration"; $plans) + calls("migration"; $plans) + calls("employee_ssh"; $plans)
  + calls("logs"; $plans) + calls("features"; $plans) + calls("support"; $plans)
  + calls("call"; $plans);

# All plans. Bind them once: `plans as $plans`.
def plans: ocsf::tables as $tables |
  all_users($tables) + teams($tables) + database_roles($tables) + all_entities($tables)
  + data_access($tables) + notices($tables) + all_calls($tables);


# ---- types that no table knows ----

# What the end of a name says was done, in the words of the plans. A secret is a part of what it is for.
def activities: [
  ["failed",  "FAIL(ED|URE)?(_|$)|_DENIED$|_VIOLATED$|_ERROR$"],
  ["add_credential",    "_(SECRET|CREDENTIAL|CERT|CERTIFICATE|TOKEN)_(CREATED|ADDED|ISSUED|IMPORTED)(_AUDIT)?$"],
  ["remove_credential", "_(SECRET|CREDENTIAL|CERT|CERTIFICATE|TOKEN)_(DELETED|REMOVED|REVOKED|DESTROYED)(_AUDIT)?$"],
  ["create",  "_(CREATED|ADDED|ISSUED|IMPORTED)(_AUDIT)?$"],
  ["delete",  "_(DELETED|REMOVED|REVOKED|DROPPED|DESTROYED)(_AUDIT)?$"],
  ["update",  "_(UPDATED|CHANGED|MODIFIED|EDITED|CONFIGURED|ROTATED|RENAMED)(_AUDIT)?$"],
  ["read",    "_(VIEWED|LISTED|DOWNLOADED|EXPORTED|READ)(_AUDIT)?$"],
  ["enable",  "_(ENABLED|ACTIVATED|REQUIRED)(_AUDIT)?$"],
  ["disable", "_(DISABLED|DEACTIVATED|OPTIONAL)(_AUDIT)?$"]
];

# What a name looks like up to its last word, if that word is about the very thing of the family. With more
# between, it is about something that belongs to the thing (TEAM_MEMBER_ADDED makes no team).
def things: {
  user: "^USER", api_key: "API_KEY", service_account: "^SERVICE_ACCOUNT", oauth: "^OAUTH_CLIENT",
  database_user: "^MONGODB_USER", database_role: "^MONGODB_ROLE", team: "(^|_)TEAM",
  organization: "^ORG", project: "^(GROUP|PROJECT)", identity_provider: "IDENTITY_PROVIDER",
  role_mapping: "^ROLE_MAPPING", domain: "^DOMAINS?", resource_policy: "^RESOURCE_POLICY",
  alert_config: "^ALERT_CONFIG"
};
# Activities that are of the thing as a whole.
def of_the_whole: { create: true, delete: true, enable: true, disable: true };

# The plan of a type that no table knows; `called` says whether somebody is known to have done it. A name that
# fits no family is a call then, else it is unknown.
def guess(plans; called):
  . as $type
  | (event_types::guess_family // (if called then "call" else "unknown" end)) as $family
  | first(
      (activities[] | select(.[1] as $pattern | $type | test($pattern)) | .[0]),
      "other"
    ) as $activity
  | (if of_the_whole[$activity] and things[$family] != null
      then (if test(things[$family] + "_[A-Z]+(_AUDIT)?$") then $activity else "other" end)
      else $activity
      end) as $activity
  | plans["\($family).\($activity)"] // plans["\($family).other"] // plans["\($family).event"]
    // plans[$family];

# The plan of a type.
def plan(plans; called): . as $type | plans[event_types::types[$type] // ""] // guess(plans; called);
