# An audit event of an Atlassian organisation as one flat row in snake_case, for tables and searches.
#
# Input:   one event of the stream (object). Without a readable `attributes.time` or an `attributes.action` the
#          event fails: a row that cannot be placed in time would be lost unseen.
# Output:  an object of the members below. A member whose value would be null is left out; only time, action
#          and actor_type are always there.
#
#   time, processed_time             integer   milliseconds since 1970 (UTC)
#   event_id                         string
#   action                           string    as the source names it
#   message                          string
#   actor_type                       string    user | app | unknown: a product that acts by itself has no address
#                                              and no account id
#   actor_id, actor_name, actor_email   string
#   auth_type, token_id, token_label    string    how the actor was let in
#   on_behalf_of_id, on_behalf_of_name, on_behalf_of_email   string
#   app_id, app_type, app_name       string    an app that acted for the actor
#   source_ip                        string    IPv4 or IPv6
#   country, region, city            string    names, as the source has them
#   geo                              string    latitude and longitude
#   target_type, target_id, target_name   string    the first thing in the context
#   org_id                           string    of the first organisation in the container
#   context, container               array     untouched, the only members that are not flat
#
# Dropped on purpose: `links` of the event and of the actor (their own addresses in the API), the format of the
# message, the type of the record (it is always `events`), relations, and an app's attributes past its name. A
# member the source adds later is dropped until it is named here.

# The first item of a list that `condition` holds for. A list that is none has none.
def first_of(condition):
  first(if type == "array" then .[] | select(type == "object" and condition) else empty end) // null;

def actor_type:
  if . == null then "unknown"
  elif (.email | type == "string" and contains("@"))
    or (.id | type == "string" and (contains(":") or test("^([0-9a-f]{24}|[0-9a-f-]{36})$"))) then "user"
  else "app"
  end;

.attributes as $attributes
| ($attributes.actor) as $actor
| ($attributes.location) as $location
| ($attributes.context | first_of(true)) as $target
| {
    time: ($attributes.time | if type == "string" then to_epoch_ms else error("attributes.time is \(tojson)") end),
    processed_time: ($attributes.processedAt | if . == null then null else to_epoch_ms end),
    event_id: .id,
    action: ($attributes.action | if type == "string" then . else error("attributes.action is \(tojson)") end),
    message: (.message | if type == "object" then .content else . end),
    actor_type: ($actor | actor_type),
    actor_id: $actor.id,
    actor_name: $actor.name,
    actor_email: $actor.email,
    auth_type: $actor.auth.authType,
    token_id: $actor.auth.tokenId,
    token_label: $actor.auth.tokenLabel,
    on_behalf_of_id: $actor.onBehalfOf.id,
    on_behalf_of_name: $actor.onBehalfOf.name,
    on_behalf_of_email: $actor.onBehalfOf.email,
    app_id: $actor.app.id,
    app_type: $actor.app.type,
    app_name: ($actor.app.attributes | if type == "object" then .name else null end),
    source_ip: $location.ip,
    country: $location.countryName,
    region: $location.regionName,
    city: $location.city,
    geo: $location.geo,
    target_type: $target.type,
    target_id: $target.id,
    target_name: ($target.attributes | if type == "object" then .name else null end),
    org_id: ($attributes.container | first_of(.type == "organizations" or .type == "orgs") | .id),
    context: $attributes.context,
    container: $attributes.container
  }
| with_entries(select(.value != null))
