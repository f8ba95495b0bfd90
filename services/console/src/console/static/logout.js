// Ends the session at the issuer: sends the form of the page.
"use strict";

document.getElementById("end").submit();
