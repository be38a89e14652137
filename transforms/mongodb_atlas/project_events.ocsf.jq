# A MongoDB Atlas project event as an event of OCSF. What becomes of each family of event types is said
# in `atlas_plans`, what becomes of each member in `atlas_ocsf`.
#
# Input:   one project event (object)
# Output:  one event of OCSF
# $args:   ocsf_version ("1.8.0", the default, or "1.9.0"), raw_data (true adds the record as text)

import "atlas_ocsf" as atlas;

atlas::event("project_events")
