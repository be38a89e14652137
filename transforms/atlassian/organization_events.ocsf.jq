# An audit event of an Atlassian organisation as an event of OCSF.
#
# Input:   one event of the stream (object). Without a readable `attributes.time` or an `attributes.action`
#          the event fails. Another member of another form than expected stays under `unmapped`.
# Output:  one event. Which class, `actions.jq` says, by the action; an event that has not what its class
#          needs (a group was changed, and none is named) is API Activity. What has no place in OCSF is under
#          `unmapped`, at its own path and as it was.
# $args:   ocsf_version   "1.8.0" (default) or "1.9.0"
#          raw_data       true adds the record as text
#
# The source tells neither severity nor outcome. All are Informational; what is in the log has happened, unless
# the action says that it failed.

import "ocsf" as ocsf;
import "actions" as actions;
import "actors" as actors;

# An attribute that has a place elsewhere if it is text, and stays where it was if it is anything else.
def left: if ocsf::is_text then null else . end;

# ---- things in `context` and `container` ----

# What the types of things are to OCSF. Products spell them in singular and plural, in any case, and with `-`, `_`
# or nothing between the words: here they are in small letters and without that.
def kinds: {
  user: "user", users: "user", account: "user", accounts: "user", useraccount: "user", useraccounts: "user",
  atlassianuser: "user", atlassianusers: "user", atlassianaccount: "user", atlassianaccounts: "user",
  managedaccount: "user", managedaccounts: "user", manageduser: "user", managedusers: "user",
  orguser: "user", orgusers: "user", externaluser: "user", externalusers: "user", person: "user", people: "user",
  group: "group", groups: "group",
  organization: "org", organizations: "org", org: "org", orgs: "org",
  policy: "policy", policies: "policy",
  app: "app", apps: "app", marketplaceapp: "app", marketplaceapps: "app",
  token: "token", tokens: "token", apitoken: "token", apitokens: "token",
  key: "token", keys: "token", apikey: "token", apikeys: "token",
  serviceaccount: "token", serviceaccounts: "token", credential: "token", credentials: "token",
  # frequent as they are written here
  "api-tokens": "token", "api-keys": "token", "service-accounts": "token",
  issue: "other", page: "other", space: "other", site: "other", sites: "other", product: "other",
  products: "other", role: "other", roles: "other", domain: "other", domains: "other",
  "identity-providers": "other"
};
def kind:
  .type as $type
  | if $type | ocsf::is_text then
      kinds[$type] // kinds[$type | ascii_downcase | split("-") | join("") | split("_") | join("")] // "other"
    else "other"
    end;
def of(wanted): first(.[] | select(kind == wanted));

def details: .attributes | if type == "object" then . else {} end;
def name:
  details
  | first((.name, .displayName, .label, .title, .siteName, .email, .key) | select(ocsf::is_text)) // null;
def uid: .id | ocsf::text;

def user:
  details as $details
  | { name: name, uid: uid, email_addr: ($details.email | ocsf::email) } | ocsf::prune
  | . + ocsf::user_type(1);

def entity_types: {
  user: { type_id: 2, type: "User" }, group: { type_id: 3, type: "Group" },
  org: { type_id: 4, type: "Organization" }, policy: { type_id: 5, type: "Policy" }
};
def entity_type:
  entity_types[kind]
    // (if .type | ocsf::is_text then { type_id: 99, type: (.type | ocsf::own_word("type")) }
        else { type_id: 0, type: "Unknown" }
        end);

# Names of what was given or taken: texts or lists of texts.
def privileges:
  [.[] | details
    | (.permission, .permissionName, .permissions, .role, .roleName, .roles, .productRole, .accessLevel)
    | if type == "array" then .[] else . end
    | select(ocsf::is_text)]
  | ocsf::some;

# A thing as a resource, whole: what the resource does not name is in its `data`.
def resource(number; caption):
  { uid: uid, name: name, type: (.type | ocsf::text), role_id: number, role: caption,
    data: (del(.id, .type) + ({ id: (.id | left), type: (.type | left) } | ocsf::prune)
      | if . == {} then null else . end) }
  | ocsf::prune;
# `resources` takes what has an id or a name.
def nameable: all(.[]; type == "object" and (uid != null or name != null));
def resources($context; $container):
  [($context[] | resource(1; "Target")), ($container[] | resource(4; "Related"))] | ocsf::some;

# ---- the actor ----

def actor:
  (.email | ocsf::email) as $email
  | (.auth | ocsf::object) as $auth
  | if actors::is_person($email) then
      {
        user: ({ name: (.name | ocsf::text), uid: uid, email_addr: $email,
          programmatic_credentials: (if $auth.tokenId | ocsf::is_text
            then [{ uid: $auth.tokenId, type: ($auth.authType | ocsf::text) } | ocsf::prune]
            else null
            end) }
          | ocsf::prune | . + ocsf::user_type(1))
      }
      + (.app | if type == "object" then { app_uid: uid, app_name: name } | ocsf::prune else {} end)
    else { app_uid: uid, app_name: (.name | ocsf::text) } | ocsf::prune_all
    end;

# What of it is left. An app's attributes stay together; its id does not.
def actor_left($actor):
  ($actor.user != null) as $person
  | (if $person and (.auth | ocsf::object | .tokenId | ocsf::is_text)
      then (.auth | del(.tokenId) + { authType: (.authType | left) } | ocsf::prune_all) else .auth end) as $auth
  | (if $person and (.app | type) == "object"
      then (.app | del(.id) + { id: (.id | left) } | ocsf::prune_all) else .app end) as $app
  | del(.id, .name, .email, .auth, .app)
    + { id: (.id | left), name: (.name | left), auth: $auth, app: $app,
        email: (if $actor.user.email_addr != null then null else .email end) }
  | ocsf::prune_all;

# ---- where from ----

def coordinates:
  if type == "string" and test("^-?[0-9]{1,3}(\\.[0-9]+)?, ?-?[0-9]{1,3}(\\.[0-9]+)?$")
  then split(",") | { lat: (.[0] | tonumber), long: (.[1] | ltrimstr(" ") | tonumber) }
  else {}
  end;
def place:
  { city: (.city | ocsf::text), region: (.regionName | ocsf::text) } | ocsf::prune_all
  | if . == null then null else . end;
def endpoint:
  (.ip | ocsf::endpoint) as $endpoint
  | if $endpoint == null then null
    else
      (.geo | coordinates) as $at
      | $endpoint + ({ location: (place | if . == null then null else . + $at end) } | ocsf::prune)
    end;
# The country is a name here and a code there; the coordinates are one text here.
def location_left:
  del(.ip, .city, .regionName)
  + {
      ip: (if .ip | ocsf::is_endpoint then null else .ip end),
      city: (.city | left),
      regionName: (.regionName | left)
    }
  | ocsf::prune_all;

# ---- the classes ----

# Each gives the part of its class, from what the event has, and null if that is not enough for the class.

# Who logs in is the actor, be it a product.
def logon($rule; $actor):
  ($actor.user
    // (if $actor == null then null
        else { name: $actor.app_name, uid: $actor.app_uid } | ocsf::prune | . + ocsf::user_type(3)
        end)) as $user
  | if $user == null then null
    else ocsf::head(3002; $rule.activity) + { user: $user, service: { name: "Atlassian" } }
    end;

# The sessions of a user were ended; whoever did it has not logged off.
def ended($rule; $target):
  if $target == null then null
  else ocsf::head(3002; $rule.activity) + { user: $target, service: { name: "Atlassian" } }
  end;

def switch($rule; $target):
  ended($rule; $target)
  | if . == null then null else . + { account_switch_type_id: 2, account_switch_type: "Impersonate" } end;

def account($rule; $user):
  if $user == null then null
  else ocsf::by_version(ocsf::head(3001; $rule.old); ocsf::head(3007; $rule.activity)) + { user: $user }
  end;

def credential:
  if uid == null then {}
  else { programmatic_credentials: [{ uid: uid, type: (.type | ocsf::text) } | ocsf::prune] }
  end;

def key($rule; $token):
  if $token == null then null
  else account($rule; $token | { name: name, uid: uid } | ocsf::prune_all
    | if . == null then null else . + ($token | credential) + ocsf::user_type(4) end)
  end;

def group($rule; $group; $users):
  if $group == null then null
  else ocsf::by_version(ocsf::head(3006; $rule.old // $rule.activity); ocsf::head(3006; $rule.activity))
    + { group: $group }
    + (if $rule.kind == "group" or $users == [] then {}
       else ocsf::by_version({ user: $users[0] }; { users: $users })
       end)
  end;

# A user gets or loses something, or a group does; or something is changed for whoever it is.
def grant($rule; $target; $group; $privileges; $entity):
  if $target != null then
    { user: $target }
    + ocsf::by_version(
        if $privileges == null then ocsf::head(3001; 99)
        else ocsf::head(3005; $rule.old) + { privileges: $privileges }
        end;
        ocsf::head(3007; $rule.activity)
        + (if $privileges == null then {}
           elif $rule.roles then { iam_roles: ($privileges | map({ name: . })) }
           else { privileges: $privileges }
           end)
      )
  elif $group != null then
    ocsf::head(3006; $rule.old) + ({ group: $group, privileges: $privileges } | ocsf::prune)
  elif $entity != null then ocsf::head(3004; 3) + { entity: $entity }
  else null
  end;

def entity($rule; $entity):
  if $entity == null then null else ocsf::head(3004; $rule.activity) + { entity: $entity } end;

# What an action on an entity or a policy may be about: users and groups are those whom it concerns, and the
# organisation is only where it was, if the action does not name it.
def entities: . != "user" and . != "group" and . != "org";
def of_the_org: test("^org(anization)?_(created|deleted|renamed|name_changed|settings?_[a-z]+)$");

# What a policy is called may only be in the name of the action.
def policy($rule; $entity; $action):
  ($entity // { name: $action } | del(.type_id, .type)) as $policy
  | ocsf::head(3004; $rule.activity) + { entity: ($policy + { type_id: 5, type: "Policy", policy: $policy }) };

def app($rule; $app):
  if $app == null then null
  else
    ($app | { name: name, uid: uid } | ocsf::prune_all) as $product
    | if $product == null then null
      else ocsf::head(6002; $rule.activity)
        + { app: ($product
            + ($app | details | { vendor_name: (.vendor | ocsf::text), version: (.version | ocsf::text) }
              | ocsf::prune)) }
      end
  end;

def call($activity; $action): ocsf::head(6003; $activity) + { api: { operation: $action } };

# ---- the event ----

# A list of objects, as `context` and `container` are. Anything else is left where it was.
def things: if type == "array" and all(.[]; type == "object") then . else [] end;

# Such a list that was mapped is told; what was none is not.
def unless_told($things): if $things != [] or . == [] then null else . end;

# Whom an action was done to by himself: the actor, if the context says nothing of whom. Credentials are his.
def himself($actor):
  if . == null or (type == "array" and all(.[]; type == "object" and kind == "token")) then $actor.user else null end;

# Classes that take `resources`. Where they are not taken, `context` and `container` stay where they were.
def with_resources: ocsf::by_version(
  { "3005": true, "6003": true };
  { "3005": true, "3006": true, "3007": true, "6003": true }
);

# The record without what was mapped.
def unmapped($actor; $resources; $context; $container; $endpoint):
  del(.id, .type, .attributes, .message, .links)
  + {
      id: (.id | left),
      type: (.type | left),
      links: (if .links == {} then null else .links end),
      message: (.message
        | if type == "object" then del(.content) + { content: (.content | left) } | ocsf::prune_all else . end),
      attributes: (.attributes
        | del(.time, .action, .processedAt, .actor, .location, .context, .container)
          + {
              processedAt: (.processedAt
                | if . == (try (ocsf::time | from_epoch_ms) catch null) then null else . end),
              actor: (.actor | if type == "object" then actor_left($actor) else . end),
              location: (.location | if $endpoint == null then . else location_left end),
              context: (.context | if $resources == null then . else unless_told($context) end),
              container: (.container | if $resources == null then . else unless_told($container) end)
            }
        | ocsf::prune_all)
    }
  | ocsf::prune_all;

ocsf::checked
| .attributes as $attributes
| ($attributes.action
    | if ocsf::is_text then .
      else error("attributes.action is \(tojson[:60]), which is no name of an action")
      end) as $action
| ($action | actions::rule) as $rule
| ($attributes.context | things) as $context
| ($attributes.container | things) as $container
| ($attributes.actor | if type == "object" then actor else null end) as $actor
| ($attributes.location | if type == "object" then endpoint else null end) as $endpoint
| [$context[] | select(kind == "user") | user | select(has("name") or has("uid"))] as $users
| ($users[0] // if $rule.own then $attributes.context | himself($actor) else null end) as $user
| (($context | of("group")) // {} | { name: name, uid: uid } | ocsf::prune_all) as $group
| (if $rule.kind == "call" then null
   elif $rule.kind == "logon" then logon($rule; $actor)
   elif $rule.kind == "switch" then switch($rule; $users[0])
   elif $rule.kind == "ended" then ended($rule; $users[0])
   elif $rule.kind == "account" then account($rule; $user)
   elif $rule.kind == "token" then
     account($rule; if $user == null then null
       else $user + (($context | of("token")) // {} | credential)
       end)
   elif $rule.kind == "key" then key($rule; ($context | of("token")) // null)
   elif $rule.kind == "group" or $rule.kind == "member" then group($rule; $group; $users)
   elif $rule.kind == "app" then app($rule; ($context | of("app")) // null)
   else
     (if $rule.kind == "grant" then first($context[] | select(kind != "org")) // $context[0] // $container[0]
      else
        (if $rule.kind == "policy" then ($context | of("policy")) // null else null end)
          // first($context[] | select(kind | entities))
          // (if $action | of_the_org then $context[0] // $container[0] else null end)
      end
       // {}
       | { name: name, uid: uid } + entity_type | ocsf::prune
       | if has("name") or has("uid") then . else null end) as $entity
     | if $rule.kind == "policy" then policy($rule; $entity; $action)
       elif $rule.kind == "entity" then entity($rule; $entity)
       else grant($rule; $users[0]; $group; $context | privileges; $entity)
       end
   end
   // call(if $rule.kind == "call" then $rule.activity else 99 end; $action)) as $part
| (if with_resources["\($part.class_uid)"] and ($context | nameable) and ($container | nameable)
   then resources($context; $container)
   else null
   end) as $resources
| ($part.class_uid == 6002) as $is_app
| (if $is_app then null else $endpoint end) as $endpoint
| (if $part.class_uid == 6003
   then { actor: ($actor // { app_name: "Atlassian" }),
     src_endpoint: ($endpoint // { svc_name: ($actor.app_name // "Atlassian") }) }
   else { actor: $actor, src_endpoint: $endpoint }
   end) as $by
| $part
  + (if $part.activity_id == 99 then { activity_name: ($action | ocsf::own_word("action")) } else {} end)
  + (if $rule.failed then ocsf::failure else ocsf::success end)
  + ({
      severity_id: 1,
      severity: "Informational",
      time: ($attributes.time | ocsf::time),
      message: (.message | if type == "object" then .content | ocsf::text else null end),
      metadata: ({
          version: ocsf::version,
          product: { name: "Atlassian Administration", vendor_name: "Atlassian" },
          profiles: (if $is_app and $actor != null then ["host"] else null end),
          uid: (.id | ocsf::text),
          type: (.type | ocsf::text),
          event_code: $action,
          log_name: "organization_events",
          original_time: $attributes.time,
          logged_time: ($attributes.processedAt | try ocsf::time catch null),
          tenant_uid: (first(($container, $context) | of("org") | uid) // null)
        } | ocsf::prune),
      actor: $by.actor,
      src_endpoint: $by.src_endpoint,
      resources: $resources,
      observables: ([
          ocsf::observable("src_endpoint.ip"; 2; $endpoint.ip),
          ocsf::observable("actor.user.email_addr"; 5; $actor.user.email_addr),
          ocsf::observable("actor.user.uid"; 31; $actor.user.uid),
          ocsf::observable("user.email_addr"; 5; $part.user.email_addr),
          ocsf::observable("user.uid"; 31; $part.user.uid),
          ocsf::observable("group.name"; 32; $part.group.name),
          ocsf::observable("group.uid"; 33; $part.group.uid)
        ] | ocsf::some),
      unmapped: unmapped($actor; $resources; $context; $container; $endpoint),
      raw_data: ocsf::raw_data
    } | ocsf::prune)
