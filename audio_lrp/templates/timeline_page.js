"use strict";
showTimeline(document.querySelector(".timeline"), JSON.parse(document.getElementById("data").textContent));
