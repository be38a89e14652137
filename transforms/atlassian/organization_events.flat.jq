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
# A value of another type than expected is passed on as it is. Where an object is expected, it stands in the column
# that tells most: actor_name, auth_type, on_behalf_of_name, app_name, geo, message.
#
# Dropped on purpose: `links` of the event and of the actor (their own addresses in the API), the format of the
# message, the type of the record (it is always `events`), a `processedAt` that is no time, relations, and an app's
# attributes past its name. A member the source adds later is dropped until it is named here.

import "ocsf" as ocsf;
import "actors" as actors;

# The first item of a list that `condition` holds for. A list that is none has none.
def first_of(condition):
  first(if type == "array" then .[] | select(type == "object" and condition) else empty end) // null;

def actor_type:
  if type != "object" then "unknown"
  elif (.email | ocsf::email) as $email | actors::is_person($email) then "user"
  else "app"
  end;

# The member of an object, or the whole if it is none.
def member(name): if type == "object" then name else . end;

.attributes as $attributes
| ($attributes.actor | ocsf::object) as $actor
| ($actor.auth | ocsf::object) as $auth
| ($actor.onBehalfOf | ocsf::object) as $on_behalf_of
| ($actor.app | ocsf::object) as $app
| ($attributes.location | ocsf::object) as $location
| ($attributes.context | first_of(true)) as $target
| {
    time: ($attributes.time | ocsf::time),
    processed_time: ($attributes.processedAt | try ocsf::time catch null),
    event_id: .id,
    action: ($attributes.action | if ocsf::is_text then . else error("attributes.action is \(tojson[:60])") end),
    message: (.message | member(.content)),
    actor_type: ($attributes.actor | actor_type),
    actor_id: $actor.id,
    actor_name: ($attributes.actor | member(.name)),
    actor_email: $actor.email,
    auth_type: ($actor.auth | member(.authType)),
    token_id: $auth.tokenId,
    token_label: $auth.tokenLabel,
    on_behalf_of_id: $on_behalf_of.id,
    on_behalf_of_name: ($actor.onBehalfOf | member(.name)),
    on_behalf_of_email: $on_behalf_of.email,
    app_id: $app.id,
    app_type: $app.type,
    app_name: ($actor.app | member(.attributes | member(.name))),
    source_ip: $location.ip,
    country: $location.countryName,
    region: $location.regionName,
    city: $location.city,
    geo: ($attributes.location | member(.geo)),
    target_type: $target.type,
    target_id: $target.id,
    target_name: ($target.attributes | member(.name)),
    org_id: ($attributes.container | first_of(.type == "organizations" or .type == "orgs") | .id),
    context: $attributes.context,
    container: $attributes.container
  }
| ocsf::prune
