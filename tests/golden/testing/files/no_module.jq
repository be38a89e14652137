import "nosuch" as n; .
