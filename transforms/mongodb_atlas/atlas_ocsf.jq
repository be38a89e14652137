# Events of MongoDB Atlas in OCSF: what the programs for organisation and project events share.
#
#   import "atlas_ocsf" as atlas;
#   atlas::event("organization_events")
#
# The type of an event is looked up in tables (`atlas_plans`), which say which class and activity it is and
# of which kind. The kind says which objects there are and where the event's members go.
#
# Nothing is lost. What a kind maps it takes out of `unmapped`, by the same condition that it was mapped
# by, so a value of a type that is not expected stays there. All kinds have these targets:
#
#   created                                      time, metadata.original_time
#   id                                           metadata.uid
#   eventTypeName                                metadata.event_code, and activity_name with activity 99
#   orgId, raw.orgName                           cloud.org, metadata.tenant_uid
#   groupId, raw.gn                              cloud.account
#   userId, username, or else apiKeyId, publicKey    actor.user
#   delegatePrincipal.id, .name                  actor.app_uid, actor.app_name
#   sessionId                                    actor.session.uid
#   remoteAddress                                src_endpoint, but not in a base event
#   raw.description                              message
#   raw.severity                                 severity_id; the word stays in unmapped.raw.severity
#   reason, processorErrorMsg                    status_detail, the first that is there
#
# Profiles: `cloud` always, for organisation and project; `host` in base events, which have no actor and no
# host without it.

import "ocsf" as ocsf;
import "atlas_plans" as atlas;

def product: "MongoDB Atlas";

# What takes a member out of `unmapped`: text, which was mapped, and null, which says nothing. Texts are what
# is above numbers and below arrays. Parameters are terms, since `del` goes down the record once only if no
# variable is bound on the way.
def taken: select(. == null or (. >= "" and . < []));

# The same for a member that was mapped only if it is one of these values.
def taken_as(a; b): select(. == null or . == a or . == b);

# An array of texts with something in it, or null.
def texts: if type == "array" and . != [] and all(.[]; type == "string") then . else null end;


# ---- who, and from where ----

# Whether a user did it. If a record names a key beside a user, the user is the actor.
def is_by_user: (.username | ocsf::is_text) or (.userId | ocsf::is_text);

# Who did it: a user, a service account, which is known by a prefix, a key, or nobody who is named. The sorts
# are written out, so that their names are constants.
def principal(by_user):
  if by_user | not then ocsf::user(.publicKey; .apiKeyId; 4)
  elif (.userId | ocsf::is_text and startswith("mdb_sa_id_")) then ocsf::user(.username; .userId; 4)
  elif .isGlobalAdmin == true then ocsf::user(.username; .userId; 2)
  else ocsf::user(.username; .userId; 1)
  end;


# ---- what all events have ----

def metadata($type; log_name; profiles):
  {
    version: ocsf::version,
    product: { name: product, vendor_name: "MongoDB" },
    profiles: profiles,
    uid: (.id | ocsf::text),
    event_code: $type,
    log_name: log_name,
    original_time: .created,
    tenant_uid: (.orgId | ocsf::text)
  }
  | ocsf::prune;

def cloud($raw):
  {
    provider: product,
    org: ({ uid: (.orgId | ocsf::text), name: ($raw.orgName | ocsf::text) } | ocsf::prune_all),
    account: (
      (.groupId | ocsf::text) as $uid
      | ($raw.gn | ocsf::text) as $name
      | if $uid == null and $name == null then null
        else { uid: $uid, name: $name, type_id: 99, type: "Project" } | ocsf::prune
        end
    )
  }
  | ocsf::prune;

# What a kind makes of a record. `parts` are the objects of its class, `observables` those in them, `paths`
# what they took from the record.
def shape(head; profiles; parts; observables; paths):
  { head: head, profiles: profiles, parts: parts, observables: [observables], rest: del(paths) };

# The event of OCSF: what a kind made, and what all have.
def event_of($context; $shape; log_name):
  $shape.head as $head
  | ((.processorErrorMsg | ocsf::text) // (.reason | ocsf::text)) as $detail
  | $head
    + ($context.raw.severity | ocsf::severity)
    + (
        {
          activity_name: (
            if $head.activity_id == 99 then $context.type | ocsf::own_word("event") else $head.activity_name end
          ),
          time: (.created | ocsf::time),
          message: ($context.raw.description | ocsf::text),
          status_detail: $detail,
          metadata: metadata($context.type; log_name; $shape.profiles),
          cloud: cloud($context.raw)
        }
        | ocsf::prune
      )
    + $shape.parts
    + (
        {
          observables: (
            [
              ocsf::observable("actor.user.name"; 4; $context.user.name),
              ocsf::observable("actor.user.email_addr"; 5; $context.user.email_addr)
            ]
            + $shape.observables
            | ocsf::some
          ),
          unmapped: (
            (.raw | type == "object") as $has_raw
            | $context.by_user as $by_user
            | $shape.rest
            | del(
                .created,
                (.id | taken), (.eventTypeName | taken), (.orgId | taken), (.groupId | taken),
                (.username | taken), (.userId | taken),
                (.publicKey | select($by_user | not) | taken), (.apiKeyId | select($by_user | not) | taken),
                (.sessionId | taken),
                (.delegatePrincipal | objects | .id | taken), (.delegatePrincipal | objects | .name | taken),
                (.raw | select($has_raw) | .description | taken), (.raw | select($has_raw) | .orgName | taken),
                (.raw | select($has_raw) | .gn | taken),
                (.processorErrorMsg | taken_as($detail; $detail)), (.reason | taken_as($detail; $detail))
              )
            # seldom so, and a `del` goes through the whole record
            | if .raw == {} or .delegatePrincipal == {} then
                del((.raw | select(. == {})), (.delegatePrincipal | select(. == {})))
              else .
              end
            | if . == {} then null else . end
          ),
          raw_data: ocsf::raw_data
        }
        | ocsf::prune
      );


# ---- the kinds ----

# Who is named as the one that something was done to. Who joins does it himself.
def target_name:
  (.targetUsername | ocsf::text) // (.targetPublicKey | ocsf::text) // (.dbUserUsername | ocsf::text);
def joins($type): $type[:7] == "JOINED_";

def from_address($context): ocsf::observable("src_endpoint.ip"; 2; $context.from.ip);

# Where the class wants an actor and an origin that the event does not name, it is the product itself.
def actor($context): $context.actor // { app_name: product };
def origin($context): $context.from // { svc_name: product };

# The host that something was done on.
def port: if type == "number" and . >= 0 and . <= 65535 and . == floor then . else null end;
def host:
  if (.hostname | ocsf::is_text) then
    { hostname: .hostname, port: (.port | port), name: (.userAlias | ocsf::text) } | ocsf::prune
  else null
  end;

# User Management, Account Change, User Access: a user of any sort, and roles.
def of_user($context; $plan):
  target_name as $name
  | (if $plan.user.type_id == 1 then null else .resourceId | ocsf::text end) as $uid
  | ($context.raw.newRoles | texts) as $roles
  | (
      if $name != null or $uid != null then
        ({ name: $name, uid: $uid, email_addr: ($name | ocsf::email) } | ocsf::prune) + $plan.user
      elif $context.user != null and joins($context.type) then $context.user
      else { name: "Unknown" } + $plan.user
      end
    ) as $user
  | shape(
      if $roles != null then $plan.head_with_roles // $plan.head else $plan.head end;
      ["cloud"];
      {
        actor: $context.actor,
        src_endpoint: $context.from,
        user: $user,
        privileges: (if $plan.head_with_roles != null then $roles else null end),
        iam_roles: (if $roles != null and ocsf::version == "1.9.0" then $roles | map({ name: . }) else null end)
      } | ocsf::prune;
      (
        from_address($context),
        ocsf::observable("user.name"; 4; $user.name | select(. != "Unknown")),
        ocsf::observable("user.email_addr"; 5; $user.email_addr)
      );
      (
        (.remoteAddress | taken_as($context.from.ip; $context.from.name)),
        (.targetUsername | taken_as($name; $name)),
        (.targetPublicKey | taken_as($name; $name)),
        (.dbUserUsername | taken_as($name; $name)),
        (.resourceId | taken_as($uid; $uid)),
        (
          .raw
          | objects
          | select($roles != null and (ocsf::version == "1.9.0" or $plan.head_with_roles != null))
          | .newRoles
        )
      )
    );

# Group Management: a team, and who joins or leaves it.
def of_group($context; $plan):
  (.targetUsername | ocsf::text) as $name
  | (.teamId | ocsf::text) as $team
  | ($context.raw.newRoles | texts) as $roles
  | (
      if $name != null then ocsf::user($name; null; 1)
      elif joins($context.type) then $context.user
      else null
      end
    ) as $user
  | shape(
      $plan.head; ["cloud"];
      {
        actor: $context.actor,
        src_endpoint: $context.from,
        group: (if $team != null then { uid: $team, type: "Team" } else { name: "Unknown", type: "Team" } end),
        user: (if ocsf::version == "1.8.0" then $user else null end),
        users: (if ocsf::version == "1.9.0" and $user != null then [$user] else null end),
        privileges: $roles
      } | ocsf::prune;
      (
        from_address($context),
        ocsf::observable(ocsf::by_version("user.name"; "users.name"); 4; $user.name),
        ocsf::observable(ocsf::by_version("user.email_addr"; "users.email_addr"); 5; $user.email_addr),
        ocsf::observable("group.uid"; 33; $team)
      );
      (
        (.remoteAddress | taken_as($context.from.ip; $context.from.name)),
        (.targetUsername | taken),
        (.teamId | taken),
        (.raw | objects | select($roles != null) | .newRoles)
      )
    );

# Role Management: a role of the databases.
def of_role($context; $plan):
  (.resourceId | ocsf::text) as $uid
  | shape(
      $plan.head; ["cloud"];
      {
        actor: $context.actor,
        src_endpoint: $context.from,
        iam_role: (if $uid != null then { uid: $uid } else { name: "Unknown" } end)
      } | ocsf::prune;
      (from_address($context), ocsf::observable("iam_role.uid"; 50; $uid));
      (
        (.remoteAddress | taken_as($context.from.ip; $context.from.name)),
        (.resourceId | taken)
      )
    );

# Entity Management: a setting, a policy, an entry of an access list.
def of_entity($context; $plan):
  (.whitelistEntry | ocsf::text) as $entry
  | (
      (.resourcePolicyId | ocsf::text) // (.alertConfigId | ocsf::text) // (.resourceId | ocsf::text)
    ) as $uid
  | shape(
      $plan.head; ["cloud"];
      {
        actor: $context.actor,
        src_endpoint: $context.from,
        entity: ($plan.entity + ({ name: $entry, uid: $uid } | ocsf::prune))
      } | ocsf::prune;
      from_address($context);
      (
        (.remoteAddress | taken_as($context.from.ip; $context.from.name)),
        (.whitelistEntry | taken),
        (.resourcePolicyId | taken_as($uid; $uid)),
        (.alertConfigId | taken_as($uid; $uid)),
        (.resourceId | taken_as($uid; $uid))
      )
    );

# Entity Management: the organisation or a project as such.
def of_container($context; $plan; uid; name):
  (uid | ocsf::text) as $uid
  | (name | ocsf::text) as $name
  | shape(
    $plan.head; ["cloud"];
    {
      actor: $context.actor,
      src_endpoint: $context.from,
      entity: (
        $plan.entity
        + (
            { uid: $uid, name: (if $uid == null and $name == null then $plan.entity.type else $name end) }
            | ocsf::prune
          )
      )
    } | ocsf::prune;
    from_address($context);
    (.remoteAddress | taken_as($context.from.ip; $context.from.name))
  );

# Datastore Activity: data that was looked at or changed.
def of_data($context; $plan):
  (.opType | ocsf::text) as $operation
  | (.database | ocsf::text) as $database
  | (.collection | ocsf::text) as $table
  | (.clusterName | ocsf::text) as $cluster
  | host as $host
  | shape(
      (
        if $plan.head != null then $plan.head
        else
          ($operation // "" | [match("^[A-Za-z][a-z]*").string][0] // "" | ascii_downcase) as $word
          | $plan.heads[atlas::operation_words[$word] // "other"]
        end
      ) + $plan.status;
      ["cloud"];
      {
        actor: actor($context),
        src_endpoint: origin($context),
        dst_endpoint: (
          if $host == null and $cluster == null then null
          else ({ svc_name: $cluster } | ocsf::prune) + $host
          end
        ),
        api: { operation: ($operation // $context.type), service: { name: product } },
        type_id: (if $table != null then 3 else 1 end),
        type: (if $table != null then "Table" else "Database" end),
        database: { name: ($database // $cluster // "Unknown"), type_id: 6, type: "NoSQL" },
        table: (if $table != null then { name: $table } else null end)
      } | ocsf::prune;
      from_address($context);
      (
        (.remoteAddress | taken_as($context.from.ip; $context.from.name)),
        (.opType | taken), (.database | taken), (.collection | taken), (.clusterName | taken),
        (.hostname | taken),
        (.port | taken_as($host.port; $host.port)),
        (.userAlias | taken_as($host.name; $host.name))
      )
    );

# What an API call was about, each with its name or id.
def named(value; type):
  (value | ocsf::text) as $name | if $name == null then empty else { name: $name, type: type } end;
def identified(value; type):
  (value | ocsf::text) as $uid | if $uid == null then empty else { uid: $uid, type: type } end;
def resources: [
  named(.clusterName; "Cluster"),
  named(.replicaSetName; "Replica Set"),
  named(.shardName; "Shard"),
  named(.instanceName; "Stream Processing Workspace"),
  named(.processorName; "Stream Processor"),
  named(.database; "Database"),
  named(.collection; "Collection"),
  named(.targetUsername; "User"),
  named(.targetPublicKey; "API Key"),
  named(.dbUserUsername; "Database User"),
  named(.whitelistEntry; "Access List Entry"),
  identified(.resourceId; (.resourceType | ocsf::text) // "Resource"),
  identified(.endpointId; "Endpoint"),
  identified(.providerEndpointId; "Provider Endpoint"),
  identified(.teamId; "Team"),
  identified(.alertId; "Alert"),
  identified(.alertConfigId; "Alert Configuration"),
  identified(.resourcePolicyId; "Resource Policy"),
  identified(.invoiceId; "Invoice"),
  identified(.paymentId; "Payment")
];

# API Activity: clusters and everything that has no class of its own.
def of_call($context; $plan):
  host as $host
  | shape(
      $plan.head; ["cloud"];
      {
        actor: actor($context),
        src_endpoint: origin($context),
        dst_endpoint: $host,
        api: { operation: $context.type, service: { name: product } },
        resources: (resources | ocsf::some)
      } | ocsf::prune;
      (from_address($context), ocsf::observable("dst_endpoint.hostname"; 1; $host.hostname));
      (
        (.remoteAddress | taken_as($context.from.ip; $context.from.name)),
        (.clusterName | taken), (.replicaSetName | taken), (.shardName | taken), (.instanceName | taken),
        (.processorName | taken), (.database | taken), (.collection | taken), (.targetUsername | taken),
        (.targetPublicKey | taken), (.dbUserUsername | taken), (.whitelistEntry | taken),
        (.endpointId | taken), (.providerEndpointId | taken), (.teamId | taken), (.alertId | taken),
        (.alertConfigId | taken), (.resourcePolicyId | taken), (.invoiceId | taken), (.paymentId | taken),
        (select(.resourceId | ocsf::is_text) | .resourceType | taken),
        (.resourceId | taken),
        (.hostname | taken),
        (.port | taken_as($host.port; $host.port)),
        (.userAlias | taken_as($host.name; $host.name))
      )
    );

# Base Event: alerts, billing, and what nobody did and nobody knows.
def of_notice($context; $plan):
  (.hostname | ocsf::text) as $hostname
  | shape(
      $plan.head;
      if $context.actor == null and $hostname == null then ["cloud"] else ["cloud", "host"] end;
      {
        type_name: (
          if $context.type == null then $plan.head.type_name
          else "Base Event: \($context.type | ocsf::own_word("event"))"
          end
        ),
        actor: $context.actor,
        device: (if $hostname == null then null else { hostname: $hostname, type_id: 1, type: "Server" } end)
      } | ocsf::prune;
      ocsf::observable("device.hostname"; 1; $hostname);
      (.hostname | taken)
    );


# ---- an event ----

# An event of MongoDB Atlas as an event of OCSF, one for one. `log_name` is the stream that it is from. An
# event whose `created` cannot be read fails, as does one that is no object.
def event(log_name):
  ocsf::checked
  | atlas::plans as $plans
  | if type == "object" then . else error("an event of MongoDB Atlas is an object, but this is \(type)") end
  | (.eventTypeName | ocsf::text) as $type
  | (.delegatePrincipal | ocsf::object) as $delegate
  | is_by_user as $by_user
  | principal($by_user) as $user
  | (
      if $type == null then $plans.nameless
      else $type | atlas::plan($plans; $user != null)
      end
    ) as $plan
  | {
      type: $type,
      by_user: $by_user,
      raw: (.raw | ocsf::object),
      user: $user,
      actor: (
        {
          user: $user,
          session: (.sessionId | if ocsf::is_text then { uid: . } else null end),
          app_uid: ($delegate.id | ocsf::text),
          app_name: ($delegate.name | ocsf::text)
        }
        | ocsf::prune_all
      ),
      from: (.remoteAddress | ocsf::endpoint)
    } as $context
  | $plan.kind as $kind
  | (
      if $kind == "api" then of_call($context; $plan)
      elif $kind == "user" then of_user($context; $plan)
      elif $kind == "entity" then of_entity($context; $plan)
      elif $kind == "base" then of_notice($context; $plan)
      elif $kind == "data" then of_data($context; $plan)
      elif $kind == "group" then of_group($context; $plan)
      elif $kind == "organization" then of_container($context; $plan; .orgId; $context.raw.orgName)
      elif $kind == "project" then of_container($context; $plan; .groupId; $context.raw.gn)
      else of_role($context; $plan)
      end
    ) as $shape
  | event_of($context; $shape; log_name);
