/** What every page needs: moments in the reader's own time zone. */

import { moment } from "./format.js";

for (const time of document.querySelectorAll("time[datetime]")) {
  time.textContent = moment(time.dateTime);
}
