# Any event in an OSCF envelope. Nothing of the event is changed or dropped.
#
# Input:   any JSON value. An array counts as a list of records, everything else as one record.
# Output:  {metadata: {schema_version, custom_framework}, controls: [record, ...]}
# $args:   schema_version (default "1.0.0"), custom_framework (default "jaquard")

import "oscf" as oscf;

oscf::envelope(
  $args.schema_version // "1.0.0";
  $args.custom_framework // "jaquard";
  oscf::records
)
