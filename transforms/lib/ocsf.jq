# What every mapping to OCSF shares: classes, activities and their captions in two versions of the
# schema, severity, status, time, users, endpoints, observables, what is left over.
#
#   import "ocsf" as ocsf;
#
#   ocsf::checked
#   | ocsf::head(3002; 1)
#     + ({ time: (.at | ocsf::time), user: ocsf::user(.name; .id; 1), … } | ocsf::prune)
#
# $args:   ocsf_version   "1.8.0" (default) or "1.9.0"
#          raw_data       true adds the record as it was read, as text; "true" and "false" count, too, since that
#                         is what comes from an environment variable
#
# How it is written. `head`, the captions and all tables are constants as long as their arguments are:
# they are computed when a worker starts, and an event costs a lookup. That is why parameters are terms
# (`class`) that are bound in the body rather than values (`$class`): a constant stays a constant only so.
# Tables are objects, since a lookup is the only step that both folds and is fast. `jaquard jq --explain` tells
# whether all went well: as a rule no function is called.


# ---- version ----

# The version of OCSF that is asked for, a constant. Null if there is no such version here: see `checked`.
def version: { "null": "1.8.0", "1.8.0": "1.8.0", "1.9.0": "1.9.0" }["\($args.ocsf_version)"];

# Whether an argument is on, a constant: true and "true" are, false, "false" and null are not. Null if it is
# anything else: see `checked`. The array makes a text differ from what it spells.
def flag(value):
  { "[true]": true, "[\"true\"]": true, "[false]": false, "[\"false\"]": false, "[null]": false }["\([value])"];

# The input, if what `args` says is understood. A program calls this first, so that a mistake in `args` is told
# with each event rather than mapped to something.
def checked_flag(name; value):
  if flag(value) == null then error("args.\(name) is \(value | tojson[:60]), but it can only be true or false")
  else .
  end;
def checked:
  if version == null
  then error("args.ocsf_version is \($args.ocsf_version | tojson), but there are only \"1.8.0\" and \"1.9.0\"")
  else checked_flag("raw_data"; $args.raw_data)
  end;

# One of two terms, by version. What is constant stays constant.
def by_version(old; new): { "1.8.0": old, "1.9.0": new }[version];


# ---- classes and activities ----

# Categories by their number.
def categories: {
  "0": "Uncategorized",
  "2": "Findings",
  "3": "Identity & Access Management",
  "5": "Discovery",
  "6": "Application Activity"
};

# The classes that mappings here use: name, category, and the `type_uid` of activity 0.
def classes: {
  "0":    { name: "Base Event",                     category: 0, type: 0 },
  "2003": { name: "Compliance Finding",             category: 2, type: 200300 },
  "3001": { name: "Account Change",                 category: 3, type: 300100 },
  "3002": { name: "Authentication",                 category: 3, type: 300200 },
  "3004": { name: "Entity Management",              category: 3, type: 300400 },
  "3005": { name: "User Access Management",         category: 3, type: 300500 },
  "3006": { name: "Group Management",               category: 3, type: 300600 },
  "3007": { name: "User Management",                category: 3, type: 300700 },
  "3008": { name: "Role Management",                category: 3, type: 300800 },
  "5023": { name: "Cloud Resources Inventory Info", category: 5, type: 502300 },
  "6002": { name: "Application Lifecycle",          category: 6, type: 600200 },
  "6003": { name: "API Activity",                   category: 6, type: 600300 },
  "6005": { name: "Datastore Activity",             category: 6, type: 600500 }
};

# Captions of the activities, by class. 0 and 99 are the same in each.
def common_activities: { "0": "Unknown", "99": "Other" };
def activities: {
  "0": {},
  "2003": { "1": "Create", "2": "Update", "3": "Close" },
  "3001": {
    "1": "Create", "2": "Enable", "3": "Password Change", "4": "Password Reset", "5": "Disable", "6": "Delete",
    "7": "Attach Policy", "8": "Detach Policy", "9": "Lock", "10": "MFA Factor Enable",
    "11": "MFA Factor Disable", "12": "Unlock"
  },
  "3002": {
    "1": "Logon", "2": "Logoff", "3": "Authentication Ticket", "4": "Service Ticket Request",
    "5": "Service Ticket Renew", "6": "Preauth", "7": "Account Switch"
  },
  "3004": {
    "1": "Create", "2": "Read", "3": "Update", "4": "Delete", "5": "Move", "6": "Enroll", "7": "Unenroll",
    "8": "Enable", "9": "Disable", "10": "Activate", "11": "Deactivate", "12": "Suspend", "13": "Resume"
  },
  "3005": by_version(
    { "1": "Assign Privileges", "2": "Revoke Privileges" };
    { "1": "Assign Privileges", "2": "Revoke Privileges", "3": "Assign Role", "4": "Remove Role" }
  ),
  "3006": by_version(
    {
      "1": "Assign Privileges", "2": "Revoke Privileges", "3": "Add User", "4": "Remove User", "5": "Delete",
      "6": "Create", "7": "Add Subgroup", "8": "Remove Subgroup"
    };
    {
      "1": "Assign Privileges", "2": "Revoke Privileges", "3": "Add User", "4": "Remove User", "5": "Delete",
      "6": "Create", "7": "Add Subgroup", "8": "Remove Subgroup", "9": "Update", "10": "Attach Policies",
      "11": "Detach Policies", "12": "Assign Roles", "13": "Remove Roles"
    }
  ),
  "3007": {
    "1": "Create", "2": "Update", "3": "Delete", "4": "Enable", "5": "Disable", "6": "Lock", "7": "Unlock",
    "8": "Password Change", "9": "Password Reset", "10": "Attach Policies", "11": "Detach Policies",
    "12": "Enable MFA Factors", "13": "Disable MFA Factors", "14": "Assign Privileges",
    "15": "Remove Privileges", "16": "Assign Roles", "17": "Remove Roles",
    "18": "Add Programmatic Credentials", "19": "Remove Programmatic Credentials"
  },
  "3008": {
    "1": "Create", "2": "Update", "3": "Delete", "4": "Assign Privileges", "5": "Remove Privileges",
    "6": "Assign Resources", "7": "Remove Resources", "8": "Attach Policies", "9": "Detach Policies",
    "10": "Add Programmatic Credentials", "11": "Remove Programmatic Credentials"
  },
  "5023": { "1": "Log", "2": "Collect" },
  "6002": {
    "1": "Install", "2": "Remove", "3": "Start", "4": "Stop", "5": "Restart", "6": "Enable", "7": "Disable",
    "8": "Update"
  },
  "6003": { "1": "Create", "2": "Read", "3": "Update", "4": "Delete" },
  "6005": {
    "1": "Read", "2": "Update", "3": "Connect", "4": "Query", "5": "Write", "6": "Create", "7": "Delete",
    "8": "List", "9": "Encrypt", "10": "Decrypt"
  }
};

# The tables of classes, bound once by a program that has many heads: `ocsf::tables as $tables`.
def tables: { categories: categories, classes: classes, activities: activities };

# The eight members that say what kind of event it is. With activity 99 the name is "Other"; the source's
# own word belongs there, so a program sets `activity_name` after it, to `own_word`. In a base event 99 is the
# number of the type, too, and `type_name` wants the word as well.
def head(tables; class; activity):
  tables.classes["\(class)"] as $class
  | (common_activities + tables.activities["\(class)"])["\(activity)"] as $caption
  | {
      activity_id: activity,
      activity_name: $caption,
      category_uid: $class.category,
      category_name: tables.categories["\($class.category)"],
      class_uid: class,
      class_name: $class.name,
      type_uid: ($class.type + activity),
      type_name: "\($class.name): \($caption)"
    };
def head(class; activity): tables as $tables | head($tables; class; activity);

# The source's own word, beside a number that is 99. The caption of 99 is no such word, so one that reads the
# same gets a noun.
def own_word(noun): if . == "Other" then "Other \(noun)" else . end;

# `head` of activity 99, with the source's own word for what was done. In a base event 99 is the number of the
# type, too, and its name wants the word as well.
def other(class; word):
  (word | own_word("event")) as $word
  | head(class; 99) + { activity_name: $word }
  | if .type_uid == 99 then .type_name = "\(.class_name): \($word)" else . end;


# ---- texts ----

# Whether it is a text with something in it. Texts are above numbers and below arrays; two comparisons are
# cheaper than asking for the `type`, and this is asked some twenty times an event.
def is_text: . > "" and . < [];

# A text with something in it, or null.
def text: if . > "" and . < [] then . else null end;


# ---- severity and status ----

# Severities by the words that sources have for them.
def severities: {
  INFO:          { severity_id: 1, severity: "Informational" },
  INFORMATIONAL: { severity_id: 1, severity: "Informational" },
  LOW:           { severity_id: 2, severity: "Low" },
  WARN:          { severity_id: 3, severity: "Medium" },
  WARNING:       { severity_id: 3, severity: "Medium" },
  MEDIUM:        { severity_id: 3, severity: "Medium" },
  ERROR:         { severity_id: 4, severity: "High" },
  HIGH:          { severity_id: 4, severity: "High" },
  CRITICAL:      { severity_id: 5, severity: "Critical" },
  FATAL:         { severity_id: 6, severity: "Fatal" }
};
def unknown_severity: { severity_id: 0, severity: "Unknown" };

# `{severity_id, severity}` of a word. A word that is not in the table is kept as the text of 99; no word
# is 0.
def severity:
  if is_text then severities[.] // { severity_id: 99, severity: own_word("severity") }
  else unknown_severity
  end;

# `{status_id, status}`.
def success: { status_id: 1, status: "Success" };
def failure: { status_id: 2, status: "Failure" };


# ---- values ----

# An object without its members that are null. After an object that is written out (`{…} | prune`) it
# costs nothing: those members are not made.
def prune: with_entries(select(.value != null));

# The same, and null for an object that has nothing left.
def prune_all: with_entries(select(.value != null)) | if . == {} then null else . end;

# Milliseconds since 1970. Takes RFC 3339 with any fraction or none, offsets with and without colon, a
# space for the `T`, and no zone, which is UTC. Anything else is an error, never another time; for a source
# with other forms use `to_epoch_ms` or `parse_time`.
def time:
  if is_text and .[4:5] == "-" then to_epoch_ms
  else error("\(tojson[:60]) is no time as 2024-01-31T12:00:00Z")
  end;

# The record as text, if it is asked for.
def raw_data: if flag($args.raw_data) then tojson else null end;

# What was not mapped: the record without the paths that were. Null if that is nothing.
def unmapped(mapped): del(mapped) | if . == {} then null else . end;


# ---- objects ----

# `{type_id, type}` of a user.
def user_type(number):
  number as $number
  | {
      type_id: $number,
      type: { "0": "Unknown", "1": "User", "2": "Admin", "3": "System", "4": "Service" }["\($number)"]
    };

# An address as OCSF takes it: letters of ASCII, an `@`, a domain with a dot. Else null.
def email:
  if is_text and test("^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9-]+\\.[A-Za-z0-9.-]+$") then .
  else null
  end;

# A user with name, id and type (0 to 4), as far as they are known; null if neither name nor id is. A name
# that is an email address is one, too.
def user(name; uid; kind):
  (name | text) as $name
  | (uid | text) as $uid
  | if $name == null and $uid == null then null
    else
      user_type(kind) as $type
      | { name: $name, uid: $uid, email_addr: ($name | email), type_id: $type.type_id, type: $type.type }
      | prune
    end;

# A member that ought to be an object: an empty one if it is not. What is read of it is null then; asking
# with `.a?` would make no output at all, and no output is an event lost.
def object: if type == "object" then . else {} end;

# The endpoint that a text names. An address is parsed, not guessed at: `ip` holds one and nothing else. Of
# an address with a port both are taken. Any other text is the endpoint's name. Null if there is no text.
def endpoint:
  if is_ip then { ip: . }
  elif is_text then
    (try split_port catch { port: null }) as $parts
    | if $parts.port != null and ($parts.host | is_ip) then { ip: $parts.host, port: $parts.port }
      else { name: . }
      end
  else null
  end;

# Whether the text of an endpoint is in what `endpoint` makes of it, character by character. If not, it
# belongs under `unmapped` as well.
def is_endpoint: is_ip or (is_text and (endpoint | has("name")));

# A text that an analyst may search for: the path of the attribute that it is in, the number of its type,
# and the value. None if there is no value. `[observable(…), observable(…)] | some`
def observable_types: {
  "1": "Hostname", "2": "IP Address", "4": "User Name", "5": "Email Address", "6": "URL String",
  "10": "Resource UID", "11": "Port", "12": "Subnet", "16": "HTTP User-Agent", "31": "User Object: uid",
  "32": "Group Object: name", "33": "Group Object: uid", "34": "Account Object: name",
  "35": "Account Object: uid", "38": "Resource Details Object: name", "49": "IAM Role Object: name",
  "50": "IAM Role Object: uid"
};
def observable(path; number; value):
  value as $value
  | if $value == null then empty
    else { name: path, type: observable_types["\(number)"], type_id: number, value: $value }
    end;

# The array or object, or null if it is empty.
def some: if . == [] or . == {} then null else . end;
