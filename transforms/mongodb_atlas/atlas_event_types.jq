# The event types of MongoDB Atlas: which family each is of, and what was done. Three tables have all that are
# documented; the source adds types often, so a type that they do not have is understood by its name.

import "access_event_types" as access;
import "operation_event_types" as operation;
import "account_event_types" as account;

# Family and activity by type, as "team.add_user". A constant.
def types: access::types + operation::types + account::types;

# What the names of a family look like. The first that fits counts, so narrow ones come first.
def families: [
  ["access_list",       "ACCESS_LIST|WHITELIST|^NETWORK_PERMISSION_"],
  ["alert",             "^(INSIDE|OUTSIDE)_|_THRESHOLD$"],
  ["alert_config",      "^ALERT_CONFIG_"],
  ["resource_policy",   "^RESOURCE_POLICY_"],
  ["database_user",     "^MONGODB_USER_"],
  ["database_role",     "^MONGODB_ROLE_"],
  ["service_account",   "^SERVICE_ACCOUNT_"],
  ["api_key",           "(^|_)API_KEY_"],
  ["oauth",             "^OAUTH_"],
  ["team",              "(^|_)TEAM(_|$)"],
  ["user",              "^(USER|INVITED|JOINED|REMOVED_FROM)_"],
  ["identity_provider", "IDENTITY_PROVIDER"],
  ["role_mapping",      "^ROLE_MAPPING_"],
  ["domain",            "^DOMAINS?_"],
  ["federation",        "^FEDERATION_"],
  ["two_factor",        "TWO_FACTOR|MULTI_FACTOR|(^|_)MFA(_|$)"],
  ["employee_access",   "EMPLOYEE_ACCESS"],
  ["auditing",          "AUDIT_LOG_CONFIG"],
  ["log_export",        "LOG_STREAMING|LOG_EXPORT"],
  ["encryption",        "^ENCRYPTION_AT_REST_"],
  ["data_access",       "^(DATA_EXPLORER|CLUSTER_CONNECTION)"],
  ["billing",           "BILL|INVOICE|PAYMENT|CHARGE|CREDIT|REFUND"],
  ["settings",          "^ORG_SETTINGS_"],
  ["project",           "^(GROUP|PROJECT)_"],
  ["organization",      "^ORG_"]
];

# The family of a type that no table has, by its name, or null.
def guess_family:
  . as $type | first((families[] | select(.[1] as $pattern | $type | test($pattern)) | .[0]), null);

# The family of a type, or null.
def family: (types[.] | if . == null then null else split(".")[0] end) // guess_family;
