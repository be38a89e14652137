{ class_uid: 6003, time: .created, activity_id: 77 }
