# A MongoDB Atlas organisation event in an OSCF envelope. Nothing of the event is changed or dropped.
#
# Input:   one organisation event (object), or a batch of them (array)
# Output:  {metadata: {schema_version, custom_framework}, controls: [event, …]}
# $args:   schema_version (default "1.0.0"), custom_framework (default "jaquard")

import "oscf" as oscf;

oscf::envelope(
  $args.schema_version // "1.0.0";
  $args.custom_framework // "jaquard";
  oscf::records
)
