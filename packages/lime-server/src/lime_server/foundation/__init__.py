"""Who answers for agents and sites: owners, and the sites themselves."""
