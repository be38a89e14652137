# A MongoDB Atlas organisation event as an event of OCSF. What becomes of each family of event types is said
# in `atlas_plans`, what becomes of each member in `atlas_ocsf`.
#
# Input:   one organisation event (object)
# Output:  one event of OCSF
# $args:   ocsf_version ("1.8.0", the default, or "1.9.0"), raw_data (true adds the record as text)

import "atlas_ocsf" as atlas;

atlas::event("organization_events")
