"""Pure rules about pushed events, persons and households. No result depends on the order of arrival."""
