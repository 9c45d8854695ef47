# redis: a command with the prefix `+` writes a file that includes the settings, and the server reads them.
{ dynamicism.shipped.redis.passedOn = true; }
