-- One database per service; their tables come from the services' own migrations.
CREATE DATABASE ingestion;
CREATE DATABASE identification;
CREATE DATABASE assessment;
CREATE DATABASE dispatch;
CREATE DATABASE subsidy;
CREATE DATABASE supervision;
