"""One file a component, found by being there.  See CONTRIBUTING for how to add one."""
